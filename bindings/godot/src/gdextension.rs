//! Godot's C interface (GDExtension), behind safe types. All unsafe code of the binding is in this folder.
//!
//! ```text
//!   interface   the functions of Godot, fetched once when the library is loaded
//!   value       converts arguments and results: FromGodot, ToGodot
//!   variant, string, packed, collections        the values
//!   object      references to objects, calls of their methods, signals
//!   method, class, entry                        what Godot calls: methods, classes, the entry point
//! ```
//!
//! Imports run down to up in this list. Two kinds of calls exist: by pointers, with values of known types, and
//! by Variants, whose number and types are checked.

#![allow(unsafe_code)]

pub mod class;
pub mod collections;
pub mod entry;
mod interface;
pub mod method;
pub mod object;
pub mod packed;
pub mod print;
pub mod project_settings;
pub mod string;
pub mod tls_options;
pub mod utility;
pub mod value;
pub mod variant;

pub use class::{Class, Constant, CurrentPacket, Members, PacketPeer, Property, Signal, Virtual};
pub use collections::{Array, Dictionary};
pub use interface::{GetProcAddress, Initialization, Pointer};
pub use method::{Argument, Method, Preset};
pub use object::{Base, Nullable, ObjectClass, Reference, emit_by_id, has_connections_by_id};
pub use packed::PackedByteArray;
pub use print::{error, warning};
pub use string::Name;
pub use tls_options::{TlsOptions, TlsOptionsArgument};
pub use value::{FromGodot, GodotError, Parameter};
pub use variant::{Variant, VariantType};
