/* What Android's C library, bionic, does otherwise than glibc, for programs that run the library's Android code on
 * Linux. `cargo xtask cross-test android` links it, and redirects the library's calls to the functions `bionic_...`;
 * calls of the test programs go to glibc. For tests only. 64-bit CPUs: there, all other structs and constants that the
 * library uses are the kernel's in both. */

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* errno by another name. */
int *__errno(void)
{
    return &errno;
}

/* The list of addresses: the name comes before the address, and the flags and errors have other numbers. */
struct bionic_addrinfo {
    int flags, family, type, protocol;
    socklen_t address_size;
    char *canonical_name;
    struct sockaddr *address;
    struct bionic_addrinfo *next;
};

enum {
    BIONIC_AI_PASSIVE = 1,
    BIONIC_AI_CANONNAME = 2,
    BIONIC_AI_NUMERICHOST = 4,
    BIONIC_AI_NUMERICSERV = 8,
    BIONIC_AI_ADDRCONFIG = 0x400,
    BIONIC_EAI_AGAIN = 2,
    BIONIC_EAI_FAIL = 4,
    BIONIC_EAI_NONAME = 8,
    BIONIC_EAI_SYSTEM = 11
};

static int flags_of_glibc(int flags)
{
    return (flags & BIONIC_AI_PASSIVE ? AI_PASSIVE : 0) | (flags & BIONIC_AI_CANONNAME ? AI_CANONNAME : 0) |
           (flags & BIONIC_AI_NUMERICHOST ? AI_NUMERICHOST : 0) |
           (flags & BIONIC_AI_NUMERICSERV ? AI_NUMERICSERV : 0) |
           (flags & BIONIC_AI_ADDRCONFIG ? AI_ADDRCONFIG : 0);
}

static int error_of_bionic(int error)
{
    switch (error) {
    case EAI_AGAIN:
        return BIONIC_EAI_AGAIN;
    case EAI_NONAME:
        return BIONIC_EAI_NONAME;
    case EAI_SYSTEM:
        return BIONIC_EAI_SYSTEM;
    default:
        return BIONIC_EAI_FAIL;
    }
}

void bionic_freeaddrinfo(struct bionic_addrinfo *list)
{
    while (list) {
        struct bionic_addrinfo *next = list->next;
        free(list->address);
        free(list);
        list = next;
    }
}

int bionic_getaddrinfo(const char *host, const char *service, const struct bionic_addrinfo *hints,
                       struct bionic_addrinfo **result)
{
    struct addrinfo wanted = {0}, *found = NULL, *one;
    int error;

    *result = NULL;
    if (hints) {
        wanted.ai_flags = flags_of_glibc(hints->flags);
        wanted.ai_family = hints->family;
        wanted.ai_socktype = hints->type;
        wanted.ai_protocol = hints->protocol;
    }
    error = getaddrinfo(host, service, hints ? &wanted : NULL, &found);
    if (error)
        return error_of_bionic(error);
    for (one = found; one; one = one->ai_next) {
        struct bionic_addrinfo *copy = calloc(1, sizeof *copy);
        if (!copy || !(copy->address = malloc(one->ai_addrlen)))
            abort();
        memcpy(copy->address, one->ai_addr, one->ai_addrlen);
        copy->address_size = one->ai_addrlen;
        copy->family = one->ai_family;
        copy->type = one->ai_socktype;
        copy->protocol = one->ai_protocol;
        *result = copy;
        result = &copy->next;
    }
    freeaddrinfo(found);
    return 0;
}

const char *bionic_gai_strerror(int error)
{
    return error == BIONIC_EAI_NONAME ? "hostname nor servname provided, or not known" : "resolver error";
}

/* Other numbers for the same values. */
long bionic_sysconf(int name)
{
    enum { PAGESIZE = 39, PAGE_SIZE = 40, NPROCESSORS_CONF = 96, NPROCESSORS_ONLN = 97 };
    switch (name) {
    case PAGESIZE:
    case PAGE_SIZE:
        return sysconf(_SC_PAGESIZE);
    case NPROCESSORS_CONF:
        return sysconf(_SC_NPROCESSORS_CONF);
    case NPROCESSORS_ONLN:
        return sysconf(_SC_NPROCESSORS_ONLN);
    default:
        errno = EINVAL;
        return -1;
    }
}

/* glibc has another function by this name, which may leave the buffer alone. */
extern int __xpg_strerror_r(int error, char *buffer, size_t size);

int bionic_strerror_r(int error, char *buffer, size_t size)
{
    return __xpg_strerror_r(error, buffer, size);
}

/* The attributes of a thread take 56 bytes, and those of glibc 64. The caller's memory holds a pointer to them. */
struct bionic_attributes {
    pthread_attr_t *real;
};

int bionic_pthread_attr_init(struct bionic_attributes *attributes)
{
    attributes->real = malloc(sizeof *attributes->real);
    return attributes->real ? pthread_attr_init(attributes->real) : ENOMEM;
}

int bionic_pthread_attr_destroy(struct bionic_attributes *attributes)
{
    int error = pthread_attr_destroy(attributes->real);
    free(attributes->real);
    return error;
}

int bionic_pthread_attr_setstacksize(struct bionic_attributes *attributes, size_t size)
{
    return pthread_attr_setstacksize(attributes->real, size);
}

int bionic_pthread_create(pthread_t *thread, const struct bionic_attributes *attributes,
                          void *(*start)(void *), void *argument)
{
    return pthread_create(thread, attributes ? attributes->real : NULL, start, argument);
}

/* Values of a thread by key. When a thread ends, glibc clears the values of keys without a destructor before the last
 * destructors have run. Rust's standard library needs them there: it stores thread-local variables this way on Android. */
enum { KEYS = 128, ROUNDS = 4 };

static struct {
    bool is_used;
    void (*destructor)(void *value);
} keys[KEYS];
static pthread_mutex_t keys_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t end_of_thread;
static pthread_once_t end_of_thread_created = PTHREAD_ONCE_INIT;
static __thread void *values[KEYS];

static void destroy_values(void *unused)
{
    int round, key, called = 1;
    (void)unused;
    for (round = 0; round < ROUNDS && called; round++) {
        for (called = key = 0; key < KEYS; key++) {
            void *value = values[key];
            if (!keys[key].is_used || !keys[key].destructor || !value)
                continue;
            values[key] = NULL;
            keys[key].destructor(value);
            called = 1;
        }
    }
}

static void create_end_of_thread(void)
{
    if (pthread_key_create(&end_of_thread, destroy_values))
        abort();
}

int bionic_pthread_key_create(int *created, void (*destructor)(void *value))
{
    int key;
    pthread_once(&end_of_thread_created, create_end_of_thread);
    pthread_mutex_lock(&keys_lock);
    for (key = 0; key < KEYS && keys[key].is_used; key++)
        ;
    if (key < KEYS) {
        keys[key].is_used = true;
        keys[key].destructor = destructor;
        *created = key;
    }
    pthread_mutex_unlock(&keys_lock);
    return key < KEYS ? 0 : EAGAIN;
}

int bionic_pthread_key_delete(int key)
{
    pthread_mutex_lock(&keys_lock);
    keys[key].is_used = false;
    pthread_mutex_unlock(&keys_lock);
    return 0;
}

void *bionic_pthread_getspecific(int key)
{
    return values[key];
}

int bionic_pthread_setspecific(int key, const void *value)
{
    values[key] = (void *)value;
    return pthread_setspecific(end_of_thread, values);
}
