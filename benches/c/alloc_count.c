/* Preloaded: counts the heap allocations of a program. bench.c reads the count; for other programs, it is appended to
 * the file that is named in the environment. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static atomic_ullong allocations;

uint64_t alloc_count(void)
{
    return allocations;
}

__attribute__((destructor)) static void report(void)
{
    const char *name = getenv("ALLOC_COUNT_FILE");
    unsigned long long count = allocations;
    FILE *file = name ? fopen(name, "a") : NULL;
    if (file) {
        fprintf(file, "%llu\n", count);
        fclose(file);
    }
}

/* Godot lets each extension bind to the C library first, so that its allocations would not be counted. */
void *dlopen(const char *name, int flags)
{
    void *(*next)(const char *, int) = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
    return next(name, flags & ~RTLD_DEEPBIND);
}

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}
void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}
void *realloc(void *ptr, size_t size)
{
    allocations++;
    return __libc_realloc(ptr, size);
}
void *aligned_alloc(size_t align, size_t size)
{
    allocations++;
    return __libc_memalign(align, size);
}
void *memalign(size_t align, size_t size)
{
    allocations++;
    return __libc_memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
    allocations++;
    *out = __libc_memalign(align, size);
    return *out ? 0 : 12;
}
