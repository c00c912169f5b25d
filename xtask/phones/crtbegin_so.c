/* The beginning of a shared library for Android, for builds without an NDK, which has its own. Linked first. */

/* Identifies the library when it is unloaded. */
__attribute__((visibility("hidden"))) void *__dso_handle = &__dso_handle;

/* bionic runs what the library registered with `__cxa_atexit` only if the library asks for it. */
extern void __cxa_finalize(void *handle);

__attribute__((destructor)) static void run_destructors(void)
{
    __cxa_finalize(&__dso_handle);
}

/* The note that tells for which API level the library was built: sizes of its parts, type 1, owner, level. */
struct android_note {
    int owner_size, content_size, type;
    char owner[8];
    int api_level;
};

__attribute__((section(".note.android.ident"), aligned(4), used)) static const struct android_note note = {
    sizeof(((struct android_note *)0)->owner), sizeof(int), 1, "Android", API_LEVEL};

/* zig compiles the unwinder against musl's headers, in which errno and stderr have other names than in bionic. */
extern int *__errno(void);
extern char __sF[];

__attribute__((visibility("hidden"))) int *__errno_location(void)
{
    return __errno();
}

/* `stderr` is the third of bionic's FILE structs, whose size is part of its ABI. */
enum { FILE_SIZE = sizeof(void *) == 8 ? 152 : 84 };
__attribute__((visibility("hidden"))) void *stderr = __sF + 2 * FILE_SIZE;
