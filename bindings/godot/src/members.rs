//! Declares the members of a class: one entry for each, with its documentation.

use crate::gdextension::method::Receiver;

/// Declares methods. `query` marks methods that change nothing, `reader` those of them that call nothing of Godot,
/// `function` static ones.
macro_rules! methods {
    ($list:ident: $(
        $(#[doc = $doc:literal])+
        $kind:ident $method:ident($($argument:ident $(= $preset:expr)?),*) => $function:expr;
    )*) => {
        pub const $list: &[$crate::gdextension::Method] = &[$(
            $crate::gdextension::Method::new(
                stringify!($method),
                $crate::members::$kind,
                $function,
                &[$($crate::members::argument!($argument $(= $preset)?)),*],
                concat!($($doc, "\n"),+),
            ),
        )*];
    };
}

macro_rules! argument {
    ($argument:ident) => {
        $crate::gdextension::Argument { name: stringify!($argument), preset: None }
    };
    ($argument:ident = $preset:expr) => {
        $crate::gdextension::Argument { name: stringify!($argument), preset: Some($preset) }
    };
}

/// Declares properties that are fields of the settings of a class, with their accessors. `set` names a setter
/// that does more than assigning the field.
macro_rules! properties {
    ($class:ident: $(
        $(#[doc = $doc:literal])+
        $field:ident: $type:ty $(, set $setter:ident($argument:ident))?;
    )*) => {
        pub const PROPERTIES: &[$crate::gdextension::Property] = &[$(
            $crate::gdextension::Property {
                name: stringify!($field),
                doc: concat!($($doc, "\n"),+),
                parameter: <$type as $crate::gdextension::FromGodot>::PARAMETER,
                getter: concat!("get_", stringify!($field)),
                setter: concat!("set_", stringify!($field)),
            },
        )*];

        // Plain numbers are cloned, too.
        #[allow(clippy::clone_on_copy)]
        pub const ACCESSORS: &[$crate::gdextension::Method] = &[$(
            $crate::gdextension::Method::new(
                concat!("get_", stringify!($field)),
                $crate::members::query,
                |this: &$class| this.settings(|settings| settings.$field.clone()),
                &[],
                "",
            ),
            $crate::members::setter!($class $field: $type $(, $setter($argument))?),
        )*];
    };
}

macro_rules! setter {
    ($class:ident $field:ident: $type:ty) => {
        $crate::gdextension::Method::new(
            concat!("set_", stringify!($field)),
            $crate::members::method,
            |this: &$class, value: $type| this.settings(|settings| settings.$field = value),
            &[$crate::members::argument!($field)],
            "",
        )
    };
    ($class:ident $field:ident: $type:ty, $setter:ident($argument:ident)) => {
        $crate::gdextension::Method::new(
            stringify!($setter),
            $crate::members::method,
            $class::$setter,
            &[$crate::members::argument!($argument)],
            "",
        )
    };
}

/// Declares signals by their names, which are statics.
macro_rules! signals {
    ($list:ident: $(
        $(#[doc = $doc:literal])+
        $name:ident($($argument:ident: $type:ident),*);
    )*) => {
        pub const $list: &[$crate::gdextension::Signal] = &[$(
            $crate::gdextension::Signal {
                name: &$name,
                doc: concat!($($doc, "\n"),+),
                arguments: &[$((stringify!($argument), $crate::gdextension::VariantType::$type)),*],
            },
        )*];
    };
}

macro_rules! constants {
    ($list:ident: $($(#[doc = $doc:literal])+ $name:ident = $value:expr;)*) => {
        pub const $list: &[$crate::gdextension::Constant] = &[$(
            $crate::gdextension::Constant {
                name: stringify!($name),
                value: $value,
                doc: concat!($($doc, "\n"),+),
            },
        )*];
    };
}

pub(crate) use {argument, constants, methods, properties, setter, signals};

// The words of the tables.
#[allow(non_upper_case_globals)]
pub const method: Receiver = Receiver::Normal;
#[allow(non_upper_case_globals)]
pub const query: Receiver = Receiver::Const;
#[allow(non_upper_case_globals)]
pub const reader: Receiver = Receiver::Reader;
#[allow(non_upper_case_globals)]
pub const function: Receiver = Receiver::None;
