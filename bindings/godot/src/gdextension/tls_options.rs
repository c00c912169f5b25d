//! Godot's class TLSOptions.

use super::object::{MethodBind, Nullable, ObjectClass, Reference};

const CLASS: &str = "TLSOptions";

static IS_SERVER: MethodBind = MethodBind::new(CLASS, "is_server", 36873697);
static IS_UNSAFE_CLIENT: MethodBind = MethodBind::new(CLASS, "is_unsafe_client", 36873697);
static GET_COMMON_NAME_OVERRIDE: MethodBind = MethodBind::new(CLASS, "get_common_name_override", 201670096);
static GET_TRUSTED_CA_CHAIN: MethodBind = MethodBind::new(CLASS, "get_trusted_ca_chain", 1120709175);
static SAVE_TO_STRING: MethodBind = MethodBind::new("X509Certificate", "save_to_string", 2841200299);

/// The class of an argument. An argument can be of another class: see [`TlsOptions::new`].
pub struct TlsOptionsClass;

impl ObjectClass for TlsOptionsClass {
    const NAME: &'static str = CLASS;
}

pub type TlsOptionsArgument = Nullable<TlsOptionsClass>;

/// An object of this class.
pub struct TlsOptions<'a>(&'a Reference);

impl<'a> TlsOptions<'a> {
    /// Returns `None` if the object is of another class.
    pub fn new(object: &'a Reference) -> Option<Self> {
        object.is_class(CLASS).then_some(Self(object))
    }

    pub fn is_server(&self) -> bool {
        // SAFETY: the class was checked. The method takes nothing and returns a bool.
        unsafe { IS_SERVER.call(self.0.pointer(), 0_u8) != 0 }
    }

    pub fn is_unsafe_client(&self) -> bool {
        // SAFETY: as above.
        unsafe { IS_UNSAFE_CLIENT.call(self.0.pointer(), 0_u8) != 0 }
    }

    pub fn common_name_override(&self) -> String {
        // SAFETY: the class was checked. The method takes nothing and returns a String.
        unsafe { GET_COMMON_NAME_OVERRIDE.call_for_text(self.0.pointer()) }
    }

    /// Returns the trusted certificates as PEM, empty if none were loaded; `None` without certificates.
    pub fn trusted_ca_chain(&self) -> Option<String> {
        // SAFETY: the class was checked. The method takes nothing and returns an X509Certificate or null, whose
        // method takes nothing and returns a String.
        unsafe {
            let chain = GET_TRUSTED_CA_CHAIN.call_for_object(self.0.pointer())?;
            Some(SAVE_TO_STRING.call_for_text(chain.pointer()))
        }
    }
}
