//! Godot's singleton ProjectSettings.

use super::interface::{Pointer, api};
use super::object::MethodBind;
use super::string::StringName;
use super::variant::Variant;

const CLASS: &str = "ProjectSettings";

static HAS_SETTING: MethodBind = MethodBind::new(CLASS, "has_setting", 3927539163);
static GET_SETTING: MethodBind = MethodBind::new(CLASS, "get_setting", 223050753);
static SET_SETTING: MethodBind = MethodBind::new(CLASS, "set_setting", 402577236);
static SET_INITIAL_VALUE: MethodBind = MethodBind::new(CLASS, "set_initial_value", 402577236);

fn singleton() -> Pointer {
    let name = StringName::new(CLASS);
    // SAFETY: the name is valid.
    unsafe { (api().functions.global_get_singleton)(name.pointer()) }
}

/// Adds a setting, which then appears in the editor. A project that sets it keeps its value.
pub fn declare(name: &str, default: &Variant) {
    let (settings, name) = (singleton(), Variant::new(name));
    // SAFETY: the singleton is valid and of that class.
    unsafe {
        if !HAS_SETTING.call_variants(settings, &[&name]).get::<bool>().unwrap_or(false) {
            SET_SETTING.call_variants(settings, &[&name, default]);
        }
        SET_INITIAL_VALUE.call_variants(settings, &[&name, default]);
    }
}

pub fn get(name: &str) -> Variant {
    // SAFETY: the singleton is valid and of that class.
    unsafe { GET_SETTING.call_variants(singleton(), &[&Variant::new(name)]) }
}
