//! Reads the values of dictionaries that scripts pass.

use framewire::CallError;

use crate::gdextension::{Variant, VariantType};

/// Returns the text, if the value is one.
pub fn text(value: &Variant) -> Option<String> {
    let is_text = value.is(VariantType::String) || value.is(VariantType::StringName);
    if is_text { value.get().ok() } else { None }
}

/// Rejects floats too.
pub fn int(value: &Variant, what: &str) -> Result<i64, CallError> {
    if !value.is(VariantType::Int) {
        return Err(CallError::argument(format!("{what} must be an int")));
    }
    Ok(value.get().unwrap_or_default())
}

pub fn boolean(value: &Variant, what: &str) -> Result<bool, CallError> {
    if !value.is(VariantType::Bool) {
        return Err(CallError::argument(format!("{what} must be a bool")));
    }
    Ok(value.get().unwrap_or_default())
}
