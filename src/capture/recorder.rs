//! Opens the files of captures, and starts and ends the thread that writes them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use super::options::CaptureOptions;
use super::queue::{CaptureFile, Command, FileInfo, Queue};
use super::writer;
use crate::error::{CallError, Code};
use crate::sync::atomic::AtomicBool;
use crate::sync::{Mutex, lock, statics};

statics! {
    static RECORDER: Mutex<Recorder> = Mutex::new(Recorder::new());
}

struct Recorder {
    /// None while the thread does not run.
    queue: Option<Arc<Queue>>,
    files: Vec<Weak<CaptureFile>>,
    last_number: u64,
}

impl Recorder {
    const fn new() -> Self {
        Self { queue: None, files: Vec::new(), last_number: 0 }
    }
}

/// The body of the thread.
pub type Body = Box<dyn FnOnce() + Send>;

/// Returns the file that captures to this path now, or a new one with these options. `spawn` starts the thread if it
/// does not run. The thread creates the file, as that may block.
pub fn open(
    path: &Path,
    options: CaptureOptions,
    spawn: impl FnOnce(Body) -> io::Result<()>,
) -> Result<Arc<CaptureFile>, CallError> {
    let path = absolute(path)?;
    let mut recorder = lock(&RECORDER);
    recorder.files.retain(|file| file.strong_count() > 0);
    for file in &recorder.files {
        if let Some(file) = file.upgrade()
            && file.info.path == path
            && !file.has_ended()
        {
            return Ok(file);
        }
    }
    let queue = match &recorder.queue {
        Some(queue) => queue.clone(),
        None => {
            let (queue, records) = Queue::new();
            let own = queue.clone();
            let body = move || writer::run(&own, &records, || retire(&own));
            spawn(Box::new(body)).map_err(|error| {
                CallError::new(Code::OutOfMemory, format!("no thread could be started: {error}"))
            })?;
            recorder.queue = Some(queue.clone());
            queue
        }
    };
    recorder.last_number += 1;
    let number = recorder.last_number;
    let info = Arc::new(FileInfo { number, path, options, has_ended: AtomicBool::new(false) });
    queue.command(Command::Open(info.clone()));
    let file = Arc::new(CaptureFile { info, queue });
    recorder.files.push(Arc::downgrade(&file));
    Ok(file)
}

/// Ends all captures: the thread writes what is queued, and ends.
pub fn finish() {
    let mut recorder = lock(&RECORDER);
    recorder.files = Vec::new();
    if let Some(queue) = recorder.queue.take() {
        queue.stop();
    }
}

/// Ends the thread unless it got a new file meanwhile.
fn retire(queue: &Arc<Queue>) -> bool {
    let mut recorder = lock(&RECORDER);
    if queue.has_commands() || recorder.files.iter().any(|file| file.strong_count() > 0) {
        return false;
    }
    if recorder.queue.as_ref().is_some_and(|running| Arc::ptr_eq(running, queue)) {
        recorder.queue = None;
    }
    true
}

/// The path without the current directory, which may change before the thread uses it.
fn absolute(path: &Path) -> Result<PathBuf, CallError> {
    std::path::absolute(path)
        .map_err(|error| CallError::argument(format!("the path of the capture: {error}")))
}
