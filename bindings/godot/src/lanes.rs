//! Sending messages with delivery options, and the lanes in which they wait.

use framewire::{
    CallError, Content, EventBatch, EventKind, Lane, LaneStats, MessageType, Outcome, SendOptions, Socket,
};
use std::time::Duration;

use crate::configure::{bytes, count};
use crate::gdextension::{
    Array, Dictionary, GodotError, Method, PackedByteArray, Parameter, Preset, Property, Variant, VariantType,
};
use crate::members::{argument, method, methods, query};
use crate::options::{boolean, int, text};
use crate::socket::{Connection, FramewireSocket};

methods! {
    METHODS:
    /// Sends a message with delivery options: a `PackedByteArray` as a binary message, or a `String` as a text
    /// message. `options` may contain:
    ///
    /// `lane`: the lane in which the message waits, from 0, the default; see `lanes`.
    ///
    /// `key`: any int but 0. The message replaces the waiting message with the same key in the same lane, in its
    /// place.
    ///
    /// `ttl_ms`: milliseconds after which the message is dropped if it has not begun, 0 to 4294967295; 0, the
    /// default, for never.
    ///
    /// `tag`: any int but 0. `sent` is emitted once with this tag and what became of the message.
    ///
    /// `text`: true to send a `PackedByteArray` as a text message; it must be valid UTF-8.
    ///
    /// `uncompressed`: true to send the message uncompressed even if compression was negotiated.
    ///
    /// From the first call on, or with `lanes`, all messages of the connection wait in lanes until they begin: until
    /// their first byte is prepared for the network. At most 16 KiB are prepared ahead. Only what has not begun
    /// can be overtaken, replaced or expire. A large message that has begun holds up all lanes, so send
    /// large data in parts.
    ///
    /// Returns `ERR_INVALID_PARAMETER` for an unknown option, a value out of range or a lane that the socket does not
    /// have, `ERR_OUT_OF_MEMORY` also if the lane is full, 65536 messages wait or too many outcomes are not delivered,
    /// and otherwise the same values as `send()`.
    method send_message(message, options = Preset::EmptyDictionary) => FramewireSocket::send_message;

    /// Returns counters of a lane since `connect_to_url()`: `waiting_messages`, `waiting_bytes`, `oldest_us`,
    /// `queue_time_max_us`, `queue_time_total_us`, `begun`, `sent`, `expired`, `replaced` and `lost`. Times are in
    /// microseconds, from the send call until the message begins. For a lane that the socket does not have, prints
    /// an error and returns an empty dictionary.
    query get_lane_statistics(lane) => FramewireSocket::get_lane_statistics;
}

pub const PROPERTIES: &[Property] = &[Property {
    name: "lanes",
    doc: "The lanes in which messages wait until they begin, at most 8. Empty, the default, is the same as one lane.

Each is a dictionary: lanes with a lower `priority` (default 0) go first. Lanes of equal priority share the connection
by `weight`, 1 (the default) to 1000. `max_bytes` limits the waiting payload of the lane; 0, the default, for no limit
but `outbound_buffer_size`. All send methods but `send_message()` use lane 0. Reading the property returns a copy: assign
it to change the lanes.

An invalid value is refused with an error, and the property keeps its previous value: an unknown setting, a number out
of range, or fewer lanes while one that would be removed has waiting messages.",
    parameter: Parameter::of(VariantType::Array),
    getter: "get_lanes",
    setter: "set_lanes",
}];

pub const ACCESSORS: &[Method] = &[
    Method::new("get_lanes", query, FramewireSocket::get_lanes, &[], ""),
    Method::new("set_lanes", method, FramewireSocket::set_lanes, &[argument!(lanes)], ""),
];

/// The limits of the library, which a property checks without a connection.
const MAX_LANES: usize = 8;
const MAX_WEIGHT: i64 = 1000;

/// The message type and the options of a message.
struct Delivery {
    options: SendOptions,
    is_text: bool,
}

impl FramewireSocket {
    pub fn send_message(&self, message: Variant, options: Dictionary) -> GodotError {
        let sent = delivery(&options).and_then(|delivery| {
            if let Some(text) = text(&message) {
                return self.send_with(MessageType::Text, text.as_bytes(), delivery.options);
            }
            if !message.is(VariantType::PackedByteArray) {
                return Err(CallError::argument("message must be a PackedByteArray or a String"));
            }
            let bytes: PackedByteArray = message.get().unwrap_or_default();
            let message_type = if delivery.is_text { MessageType::Text } else { MessageType::Binary };
            self.send_with(message_type, bytes.as_slice(), delivery.options)
        });
        self.report("send_message", sent)
    }

    fn send_with(
        &self,
        message_type: MessageType,
        payload: &[u8],
        options: SendOptions,
    ) -> Result<(), CallError> {
        let mut state = self.state();
        state.with_socket(|socket| socket.send_message(message_type, Content::Bytes(payload), options))?;
        if options.tag != 0 {
            *state.connection.tags.entry(options.tag).or_default() += 1;
        }
        Ok(())
    }

    fn get_lane_statistics(&self, lane: i64) -> Dictionary {
        let stats = lane_number(lane).and_then(|lane| {
            let state = self.state();
            match &state.connection.socket {
                Some(socket) => socket.lane_stats(lane),
                None if lane as usize >= state.settings.lanes.len().max(1) => {
                    Err(CallError::argument(format!("lane {lane} does not exist")))
                }
                None => Ok(LaneStats::default()),
            }
        });
        match stats {
            Ok(stats) => named(&stats),
            Err(error) => {
                self.report("get_lane_statistics", Err(error));
                Dictionary::default()
            }
        }
    }

    fn get_lanes(&self) -> Array {
        let lanes = self.settings(|settings| settings.lanes.clone());
        Array::filled(lanes.len(), |array| {
            for lane in lanes {
                let mut named = Dictionary::default();
                named.set("priority", i64::from(lane.priority));
                named.set("weight", i64::from(lane.weight));
                named.set("max_bytes", i64::try_from(lane.max_bytes).unwrap_or(i64::MAX));
                array.put(named);
            }
        })
    }

    fn set_lanes(&self, lanes: Array) {
        let result = self.change_lanes(&lanes);
        self.report("set_lanes", result);
    }

    fn change_lanes(&self, lanes: &Array) -> Result<(), CallError> {
        let lanes = lanes_of(lanes)?;
        let mut state = self.state();
        if let Some(socket) = &state.connection.socket
            && socket.state() != framewire::State::Unknown
        {
            // As an invalid argument, because errors of state are not printed.
            socket.set_lanes(&lanes).map_err(|error| CallError::argument(error.message))?;
        }
        state.settings.lanes = lanes;
        Ok(())
    }
}

impl Connection {
    /// Returns the outcomes of accepted tags as events, before the socket is destroyed. Messages whose outcome is not
    /// known yet are lost.
    pub fn take_outcomes(&mut self, socket: &Socket) -> Vec<EventKind> {
        let mut outcomes = Vec::new();
        if self.tags.is_empty() {
            return outcomes;
        }
        let mut keep = |event: EventBatch| {
            if let EventBatch::Event(event @ EventKind::Sent { .. }) = event {
                outcomes.push(event);
            }
        };
        self.events.drain(..).for_each(&mut keep);
        // Only what is pending now, so that a fast server cannot keep the call from returning. Fails for a destroyed
        // socket, which has no events.
        let _ = socket.next_event_batches(framewire::pending(), |event| {
            keep(event);
            true
        });
        for event in &outcomes {
            if let EventKind::Sent { tag, .. } = event {
                self.settle(*tag);
            }
        }
        for (tag, count) in std::mem::take(&mut self.tags) {
            outcomes.extend((0..count).map(|_| EventKind::Sent { tag, outcome: Outcome::Lost }));
        }
        outcomes
    }
}

fn delivery(options: &Dictionary) -> Result<Delivery, CallError> {
    let mut delivery = Delivery { options: SendOptions::default(), is_text: false };
    for (name, value) in options.to_vec() {
        let options = &mut delivery.options;
        let name = text(&name).ok_or_else(|| CallError::argument("the names of options must be Strings"))?;
        match name.as_str() {
            "lane" => options.lane = lane_number(int(&value, "lane")?)?,
            // Any number: a negative one has its upper half.
            "key" => options.key = int(&value, "key")?.cast_unsigned(),
            "tag" => options.tag = int(&value, "tag")?.cast_unsigned(),
            "ttl_ms" => {
                let milliseconds = count(int(&value, "ttl_ms")?, "ttl_ms")?;
                options.time_to_live = (milliseconds > 0).then(|| Duration::from_millis(milliseconds.into()));
            }
            "text" => delivery.is_text = boolean(&value, "text")?,
            "uncompressed" => options.flags.uncompressed = boolean(&value, "uncompressed")?,
            _ => {
                return Err(CallError::argument(format!(
                    "the option \"{name}\" is unknown; the options are lane, key, ttl_ms, tag, text and uncompressed"
                )));
            }
        }
    }
    Ok(delivery)
}

fn lanes_of(lanes: &Array) -> Result<Vec<Lane>, CallError> {
    if lanes.len() > MAX_LANES {
        return Err(CallError::argument(format!("the number of lanes must be 0 to {MAX_LANES}")));
    }
    lanes.to_vec().iter().enumerate().map(|(index, lane)| lane_of(index, lane)).collect()
}

fn lane_of(index: usize, settings: &Variant) -> Result<Lane, CallError> {
    if !settings.is(VariantType::Dictionary) {
        return Err(CallError::argument(format!("lane {index} must be a Dictionary")));
    }
    let settings: Dictionary = settings.get().unwrap_or_default();
    let mut lane = Lane::default();
    for (name, value) in settings.to_vec() {
        let name = text(&name).ok_or_else(|| CallError::argument("the names of settings must be Strings"))?;
        let what = format!("{name} of lane {index}");
        match name.as_str() {
            "priority" => lane.priority = count(int(&value, &what)?, &what)?,
            "weight" => match int(&value, &what)? {
                weight @ 1..=MAX_WEIGHT => lane.weight = count(weight, &what)?,
                weight => {
                    return Err(CallError::argument(format!(
                        "{what} is {weight}, but must be 1 to {MAX_WEIGHT}"
                    )));
                }
            },
            "max_bytes" => lane.max_bytes = bytes(int(&value, &what)?, &what)?,
            _ => {
                return Err(CallError::argument(format!(
                    "the setting \"{name}\" of lane {index} is unknown; the settings are priority, weight and max_bytes"
                )));
            }
        }
    }
    Ok(lane)
}

fn lane_number(lane: i64) -> Result<u32, CallError> {
    u32::try_from(lane)
        .ok()
        .filter(|lane| (*lane as usize) < MAX_LANES)
        .ok_or_else(|| CallError::argument(format!("lane is {lane}, but must be 0 to {}", MAX_LANES - 1)))
}

fn named(stats: &LaneStats) -> Dictionary {
    let mut named = Dictionary::default();
    macro_rules! name {
        ($($counter:ident),+ $(,)?) => {
            $(named.set(stringify!($counter), i64::try_from(stats.$counter).unwrap_or(i64::MAX));)+
        };
    }
    name!(
        waiting_messages,
        waiting_bytes,
        oldest_us,
        queue_time_max_us,
        queue_time_total_us,
        begun,
        sent,
        expired,
        replaced,
        lost,
    );
    named
}
