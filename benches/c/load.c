/*
 * Measures loading the library, fw_init and fw_shutdown.
 *
 *     load LIBRARY
 */

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

static double microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

int main(int argc, char **argv)
{
    /* Large enough for an fw_config of any version. */
    uint32_t config[64] = {0};
    uint32_t (*init)(const void *), (*shut_down)(uint32_t);
    void (*prepare)(void *, size_t);
    double begun = microseconds(), loaded, started, ended;
    void *library = dlopen(argc > 1 ? argv[1] : "libframewire.so", RTLD_NOW);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    loaded = microseconds();
    *(void **)&prepare = dlsym(library, "fw_config_init");
    *(void **)&init = dlsym(library, "fw_init");
    *(void **)&shut_down = dlsym(library, "fw_shutdown");
    if (!prepare || !init || !shut_down)
        return 1;
    prepare(config, sizeof config);
    if (init(config))
        return 1;
    started = microseconds();
    if (shut_down(2000))
        return 1;
    ended = microseconds();
    printf("{\"load_us\":%.1f,\"init_us\":%.1f,\"shutdown_us\":%.1f}\n", loaded - begun, started - loaded,
           ended - started);
    return 0;
}
