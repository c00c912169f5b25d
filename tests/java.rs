//! Android's code that asks Java for the trusted authorities, with the Java VM of the desktop: the same classes.
//! Runs only by `cargo xtask test Java`, which names the VM's library.
#![cfg(unix)]

use std::ffi::{CString, c_int, c_void};
use std::ptr;

use framewire::internals::java_authorities;

/// `JavaVMInitArgs` and `JavaVMOption` of jni.h.
#[repr(C)]
struct Arguments {
    version: i32,
    count: i32,
    options: *mut VmOption,
    ignore_unrecognized: u8,
}
#[repr(C)]
struct VmOption {
    text: *mut i8,
    extra: *mut c_void,
}

type CreateJavaVm = unsafe extern "system" fn(*mut *mut c_void, *mut *mut c_void, *mut c_void) -> c_int;

struct Vm(*mut c_void);
// SAFETY: JNI allows the VM on every thread.
unsafe impl Sync for Vm {}

impl Vm {
    fn create() -> Self {
        let library = std::env::var("FRAMEWIRE_LIBJVM").expect("the path of libjvm.so");
        // With checks of every call. Only one VM can exist in a process.
        let check = CString::new("-Xcheck:jni").unwrap();
        let mut option = VmOption { text: check.as_ptr().cast_mut().cast(), extra: ptr::null_mut() };
        let mut arguments =
            Arguments { version: 0x0001_0006, count: 1, options: &mut option, ignore_unrecognized: 0 };
        let (mut vm, mut env) = (ptr::null_mut(), ptr::null_mut());
        let library = CString::new(library).unwrap();
        // SAFETY: the library has this function, with these types.
        let result = unsafe {
            let library = libc::dlopen(library.as_ptr(), libc::RTLD_NOW);
            assert!(!library.is_null(), "libjvm.so cannot be loaded");
            let create = libc::dlsym(library, c"JNI_CreateJavaVM".as_ptr());
            assert!(!create.is_null());
            let create: CreateJavaVm = std::mem::transmute(create);
            create(&mut vm, &mut env, (&raw mut arguments).cast())
        };
        assert_eq!(result, 0, "the VM starts");
        Self(vm)
    }

    fn authorities(&self) -> Vec<Vec<u8>> {
        // SAFETY: it is the VM of this process.
        let found = unsafe { java_authorities(self.0) }.unwrap();
        let mut found: Vec<Vec<u8>> = found.iter().map(|one| one.as_ref().to_vec()).collect();
        found.sort();
        found
    }
}

#[test]
fn java_names_the_same_authorities_on_every_thread() {
    let vm = Vm::create();
    // This thread has created the VM and stays attached, the others are attached for the call.
    let own = vm.authorities();
    assert!(own.len() > 50, "{} authorities", own.len());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..3).for_each(|_| assert_eq!(vm.authorities(), own)));
        }
    });
    assert_eq!(vm.authorities(), own);
    println!("{} authorities", own.len());
}
