//! Generates the class documentation that the editor shows, from the declarations of the members.

use std::fmt::Write;

use crate::gdextension::method::Receiver;
use crate::gdextension::{Class, Method, Parameter};

/// Returns the documentation of a class in Godot's XML format.
pub fn xml<T: Class>() -> String {
    let members = T::MEMBERS;
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n");
    let (brief, description) = members.doc.split_once("\n\n").unwrap_or((members.doc, ""));
    let _ = writeln!(xml, "<class name=\"{}\" inherits=\"{}\">", T::NAME, T::PARENT);
    let _ = writeln!(xml, "<brief_description>{}</brief_description>", text(brief));
    let _ = writeln!(
        xml,
        "<description>{}</description>\n<tutorials>\n</tutorials>\n<methods>",
        text(description)
    );
    for method in members.methods.iter().copied().flatten().filter(|method| !method.doc.is_empty()) {
        write_method(&mut xml, method);
    }
    xml += "</methods>\n<members>\n";
    for property in members.properties.iter().copied().flatten() {
        let _ = writeln!(
            xml,
            "<member name=\"{}\"{} setter=\"{}\" getter=\"{}\">{}</member>",
            property.name,
            type_of(&property.parameter),
            property.setter,
            property.getter,
            text(property.doc)
        );
    }
    xml += "</members>\n<signals>\n";
    for signal in members.signals {
        let _ = writeln!(xml, "<signal name=\"{}\">", signal.name.text());
        for (index, (name, variant_type)) in signal.arguments.iter().enumerate() {
            let type_name = type_of(&Parameter::of(*variant_type));
            let _ = writeln!(xml, "<param index=\"{index}\" name=\"{name}\"{type_name} />");
        }
        let _ = writeln!(xml, "<description>{}</description>\n</signal>", text(signal.doc));
    }
    xml += "</signals>\n<constants>\n";
    for constant in members.constants {
        let (name, value, doc) = (constant.name, constant.value, text(constant.doc));
        let _ = writeln!(xml, "<constant name=\"{name}\" value=\"{value}\">{doc}</constant>");
    }
    xml += "</constants>\n</class>\n";
    xml
}

fn write_method(xml: &mut String, method: &Method) {
    let qualifiers = match method.receiver {
        Receiver::Normal => "",
        Receiver::Const | Receiver::Reader => " qualifiers=\"const\"",
        Receiver::None => " qualifiers=\"static\"",
    };
    let _ = writeln!(xml, "<method name=\"{}\"{qualifiers}>", method.name);
    let result = method.result.map_or_else(|| " type=\"void\"".into(), |result| type_of(&result));
    let _ = writeln!(xml, "<return{result} />");
    for (index, (argument, parameter)) in method.arguments.iter().zip(method.parameters).enumerate() {
        let preset = argument.preset.map(|preset| format!(" default=\"{}\"", escaped(&preset.text())));
        let _ = writeln!(
            xml,
            "<param index=\"{index}\" name=\"{}\"{}{} />",
            argument.name,
            type_of(parameter),
            preset.unwrap_or_default()
        );
    }
    let _ = writeln!(xml, "<description>{}</description>\n</method>", text(method.doc));
}

fn type_of(parameter: &Parameter) -> String {
    let type_name = parameter.type_name();
    if parameter.is_enum {
        format!(" type=\"{type_name}\" enum=\"{}\"", parameter.class)
    } else {
        format!(" type=\"{type_name}\"")
    }
}

/// Converts a documentation comment: its lines become paragraphs, and code is marked for the editor.
fn text(doc: &str) -> String {
    let paragraphs = doc.trim().split("\n\n").map(|paragraph| {
        let line = paragraph.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        let mut marked = String::new();
        for (index, part) in line.split('`').enumerate() {
            if index > 0 {
                marked += if index % 2 == 1 { "[code]" } else { "[/code]" };
            }
            marked += &escaped(part);
        }
        marked
    });
    paragraphs.collect::<Vec<_>>().join("\n")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::multiplayer::FramewireMultiplayerPeer;
    use crate::node::FramewireNode;
    use crate::socket::FramewireSocket;

    #[test]
    fn code_and_paragraphs_are_marked() {
        assert_eq!(text("A `x < y`\nline.\n\nMore.\n"), "A [code]x &lt; y[/code] line.\nMore.");
    }

    /// Writes the documentation where the test in Godot compares it with the members that Godot lists.
    #[test]
    fn every_member_is_documented() {
        for (name, xml) in [
            (FramewireSocket::NAME, xml::<FramewireSocket>()),
            (FramewireNode::NAME, xml::<FramewireNode>()),
            (FramewireMultiplayerPeer::NAME, xml::<FramewireMultiplayerPeer>()),
        ] {
            assert!(!xml.contains("<description></description>"), "{xml}");
            if let Some(folder) = std::env::var_os("FRAMEWIRE_CLASS_DOCS") {
                std::fs::write(std::path::Path::new(&folder).join(name).with_extension("xml"), xml).unwrap();
            }
        }
    }
}
