use framewire::*;
fn block(
    socket: &Socket,
    text: &str,
    data: &[u8],
    size: usize,
) -> Result<(), Box<dyn std::error::Error>> {
