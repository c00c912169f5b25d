extends RefCounted
## A queue of [kind, payload, arguments...] that counts the bytes of the payloads.

const _MIN_REMOVED := 64

var bytes := 0

var _entries: Array[Array] = []
## The number of entries at the front that were removed. Erasing from the front of an array moves all others.
var _removed := 0


func push(entry: Array) -> void:
	_entries.append(entry)
	bytes += entry[1].size()


## Removes the oldest entry. The queue must not be empty.
func pop() -> Array:
	var entry := _entries[_removed]
	# So that the caller holds the only reference to the payload.
	_entries[_removed] = []
	_removed += 1
	if _removed > _MIN_REMOVED and _removed * 2 > _entries.size():
		_entries = _entries.slice(_removed)
		_removed = 0
	bytes -= entry[1].size()
	return entry


func take_all() -> Array[Array]:
	var taken := _entries.slice(_removed)
	clear()
	return taken


func clear() -> void:
	_entries = []
	_removed = 0
	bytes = 0


func size() -> int:
	return _entries.size() - _removed


func is_empty() -> bool:
	return _entries.size() == _removed
