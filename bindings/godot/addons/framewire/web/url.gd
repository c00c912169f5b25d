extends RefCounted
## URLs as the extension accepts them, but for credentials and zones of addresses, which browsers reject.

const _MAX_LENGTH := 8192
## Scheme, host, port, and path with query. A browser throws an exception for what it does not accept, which Godot does not
## report.
const _PATTERN := "^(?i)(wss?|https?)://(\\[[0-9a-f:.]+\\]|(?:[a-z0-9_-]{1,63}\\.)*[a-z0-9_-]{1,63}\\.?)(?::([0-9]{0,5}))?([/?](?:[!\"$&-~]|%[0-9a-f]{2})*)?$"


static func has_credentials(url: String) -> bool:
	return "@" in url.get_slice("://", 1).get_slice("/", 0).get_slice("?", 0)


## Returns the parts of a URL, or an empty dictionary if it is invalid.
static func parse(url: String) -> Dictionary:
	var found := RegEx.create_from_string(_PATTERN).search(url) if url.length() <= _MAX_LENGTH else null
	if found == null:
		return {}
	var is_secure := found.get_string(1).to_lower() in ["wss", "https"]
	var host := found.get_string(2)
	var name := host.trim_prefix("[").trim_suffix("]")
	# What ends in a number is an address.
	var is_address := name != host or name.trim_suffix(".").get_slice(".", name.trim_suffix(".").count(".")).is_valid_int()
	var port := int(found.get_string(3)) if not found.get_string(3).is_empty() else 443 if is_secure else 80
	if is_address and not name.is_valid_ip_address() or port < 1 or port > 65535:
		return {}
	var path := found.get_string(4)
	if not path.begins_with("/"):
		path = "/" + path
	return {
		"url": "%s://%s:%d%s" % ["wss" if is_secure else "ws", host, port, path],
		"host": name,
		"port": port,
		"is_mixed_content": not is_secure and _is_mixed_content(host),
	}


## Returns whether the browser refuses an unencrypted connection: the constructor of its WebSocket throws then, which
## Godot does not report.
static func _is_mixed_content(host: String) -> bool:
	if not OS.has_feature("web") or JavaScriptBridge.eval("location.protocol", true) != "https:":
		return false
	return not (host == "localhost" or host.ends_with(".localhost") or host.begins_with("127.") or host == "[::1]")
