//! The simulated network link.

use std::time::Duration;

use framewire::{CallError, LinkConditions, LinkCut};

use crate::configure::count;
use crate::errors;
use crate::gdextension::method::Static;
use crate::gdextension::{self, Dictionary, GodotError, Method, Parameter, Property, VariantType};
use crate::members::{argument, method, methods, query};
use crate::options::{int, text};
use crate::socket::FramewireSocket;

methods! {
    METHODS:
    /// Simulates a bad network for every socket, those that exist and those that are created later; see
    /// `link_conditions`, which changes that of one socket. An empty dictionary disables it for all. Returns
    /// `ERR_INVALID_PARAMETER` for an unknown condition or a value out of range.
    function set_global_link_conditions(conditions) => Static(set_global_link_conditions);
}

pub const PROPERTIES: &[Property] = &[Property {
    name: "link_conditions",
    doc: "Simulates a bad network between this socket and the server. Empty, the default, disables the simulation, which then
costs nothing. Takes effect at any time; what is in flight keeps its delay.

`out_delay_ms`, `in_delay_ms`: the one-way delay to the server and from it, at most 60000.

`out_jitter_ms`, `in_jitter_ms`: the mean of a random additional delay. Bytes keep their order. `jitter_max_ms` is the
longest; 0 for ten times the mean.

`out_bytes_per_s`, `in_bytes_per_s`: the data rate; 0 for no limit. `burst_bytes` may exceed it at once, after a pause.

`stall_every_ms`, `stall_ms`: how often nothing moves, and for how long.

`cut`: how the link fails, one of the `LINK_CUT_*` constants.

`seed`: links with equal seeds and conditions delay equally.

The link is between TCP and TLS, so it delays connecting too. An unknown condition is refused with an error, and the
property keeps its previous value. Reading the property returns a copy: assign it to change the conditions.",
    parameter: Parameter::of(VariantType::Dictionary),
    getter: "get_link_conditions",
    setter: "set_link_conditions",
}];

pub const ACCESSORS: &[Method] = &[
    Method::new("get_link_conditions", query, FramewireSocket::get_link_conditions, &[], ""),
    Method::new(
        "set_link_conditions",
        method,
        FramewireSocket::set_link_conditions,
        &[argument!(link_conditions)],
        "",
    ),
];

const CUTS: &[LinkCut] =
    &[LinkCut::None, LinkCut::Stall, LinkCut::HalfOpen, LinkCut::Reset, LinkCut::End, LinkCut::Refuse];

fn set_global_link_conditions(conditions: Dictionary) -> GodotError {
    match conditions_of(&conditions).and_then(framewire::set_link) {
        Ok(()) => GodotError::OK,
        Err(error) => {
            gdextension::error(&format!("FramewireSocket.set_global_link_conditions: {error}"));
            errors::code(&error)
        }
    }
}

impl FramewireSocket {
    fn get_link_conditions(&self) -> Dictionary {
        match self.settings(|settings| settings.link_conditions) {
            Some(conditions) => named(&conditions),
            None => Dictionary::default(),
        }
    }

    fn set_link_conditions(&self, conditions: Dictionary) {
        let result = conditions_of(&conditions).and_then(|conditions| {
            let mut state = self.state();
            if let Some(socket) = &state.connection.socket
                && socket.state() != framewire::State::Unknown
            {
                socket.set_link(conditions)?;
            }
            state.settings.link_conditions = conditions;
            Ok(())
        });
        self.report("set_link_conditions", result);
    }
}

/// Returns `None` for an empty dictionary.
fn conditions_of(dictionary: &Dictionary) -> Result<Option<LinkConditions>, CallError> {
    let entries = dictionary.to_vec();
    let mut conditions = LinkConditions::default();
    for (name, value) in &entries {
        let name =
            text(name).ok_or_else(|| CallError::argument("the names of conditions must be Strings"))?;
        let number = || count(int(value, &name)?, &name);
        let duration = || number().map(|milliseconds| Duration::from_millis(milliseconds.into()));
        match name.as_str() {
            "seed" => conditions.seed = number()?,
            "out_delay_ms" => conditions.out_delay = duration()?,
            "in_delay_ms" => conditions.in_delay = duration()?,
            "out_jitter_ms" => conditions.out_jitter = duration()?,
            "in_jitter_ms" => conditions.in_jitter = duration()?,
            "jitter_max_ms" => conditions.jitter_max = duration()?,
            "out_bytes_per_s" => conditions.out_bytes_per_second = number()?,
            "in_bytes_per_s" => conditions.in_bytes_per_second = number()?,
            "burst_bytes" => conditions.burst_bytes = number()?,
            "stall_every_ms" => conditions.stall_every = duration()?,
            "stall_ms" => conditions.stall = duration()?,
            "cut" => {
                let number = int(value, "cut")?;
                conditions.cut = CUTS.iter().copied().find(|cut| *cut as i64 == number).ok_or_else(|| {
                    CallError::argument(format!("cut is {number}, which is not a LINK_CUT_* constant"))
                })?;
            }
            _ => {
                return Err(CallError::argument(format!(
                    "the condition \"{name}\" of a link is unknown; see the documentation of link_conditions"
                )));
            }
        }
    }
    Ok((!entries.is_empty()).then_some(conditions))
}

fn named(conditions: &LinkConditions) -> Dictionary {
    let milliseconds = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let mut named = Dictionary::default();
    for (name, value) in [
        ("seed", i64::from(conditions.seed)),
        ("out_delay_ms", milliseconds(conditions.out_delay)),
        ("in_delay_ms", milliseconds(conditions.in_delay)),
        ("out_jitter_ms", milliseconds(conditions.out_jitter)),
        ("in_jitter_ms", milliseconds(conditions.in_jitter)),
        ("jitter_max_ms", milliseconds(conditions.jitter_max)),
        ("out_bytes_per_s", i64::from(conditions.out_bytes_per_second)),
        ("in_bytes_per_s", i64::from(conditions.in_bytes_per_second)),
        ("burst_bytes", i64::from(conditions.burst_bytes)),
        ("stall_every_ms", milliseconds(conditions.stall_every)),
        ("stall_ms", milliseconds(conditions.stall)),
        ("cut", conditions.cut as i64),
    ] {
        named.set(name, value);
    }
    named
}
