extends Node
## A node that servers and clients share, as an object of a game.

## [sender, value] of each call.
var calls := []
## Synchronized from the server and from a client.
var from_server := 0
var from_client := ""


@rpc("any_peer", "call_remote", "reliable")
func note(value: Variant) -> void:
	calls.append([multiplayer.get_remote_sender_id(), value])


@rpc("any_peer", "call_remote", "unreliable", 3)
func note_unreliably(value: Variant) -> void:
	calls.append([multiplayer.get_remote_sender_id(), value])


## Adds a synchronizer of a property that a peer owns.
func synchronize(property: String, authority: int) -> void:
	var config := SceneReplicationConfig.new()
	config.add_property(NodePath(".:" + property))
	var synchronizer := MultiplayerSynchronizer.new()
	synchronizer.name = "Of" + property.to_pascal_case()
	synchronizer.replication_config = config
	synchronizer.set_multiplayer_authority(authority)
	add_child(synchronizer)
