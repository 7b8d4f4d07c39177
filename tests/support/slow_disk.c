/* A slow disk for one directory: LD_PRELOAD this, see slow_disk.py.
 *
 * SLOW_DISK_DIR          absolute path; calls on files below it are delayed
 * SLOW_DISK_SEEK_US      microseconds before each call
 * SLOW_DISK_BYTES_PER_S  and what the bytes themselves take
 *
 * One call at a time, as a disk with one head. Page faults of mapped files cannot be delayed from
 * here, only the calls that write mapped pages back.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define MAPPINGS 4096

static const char *directory;
static size_t directory_length;
static double seek_s, bytes_per_s;
static pthread_mutex_t head = PTHREAD_MUTEX_INITIALIZER;
static struct { char *start; size_t length; } mappings[MAPPINGS];
static unsigned next_mapping;

__attribute__((constructor)) static void configure(void) {
    const char *seek = getenv("SLOW_DISK_SEEK_US"), *rate = getenv("SLOW_DISK_BYTES_PER_S");
    directory = getenv("SLOW_DISK_DIR");
    directory_length = directory ? strlen(directory) : 0;
    seek_s = seek ? atof(seek) / 1e6 : 0;
    bytes_per_s = rate ? atof(rate) : 0;
}

static int is_slow(int fd) {
    char link[64], path[4096];
    ssize_t length;
    if (!directory_length) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    return length > (ssize_t)directory_length && !memcmp(path, directory, directory_length)
        && path[directory_length] == '/';
}

static void wait_for_the_disk(size_t bytes) {
    double seconds = seek_s + (bytes_per_s > 0 ? bytes / bytes_per_s : 0);
    struct timespec wait = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
    pthread_mutex_lock(&head);
    nanosleep(&wait, NULL);
    pthread_mutex_unlock(&head);
}

static size_t total(const struct iovec *parts, int count) {
    size_t bytes = 0;
    for (int i = 0; i < count; i++) bytes += parts[i].iov_len;
    return bytes;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    if (is_slow(fd)) wait_for_the_disk(size);
    return REAL(pwrite64)(fd, data, size, at);
}

ssize_t pread64(int fd, void *data, size_t size, off64_t at) {
    if (is_slow(fd)) wait_for_the_disk(size);
    return REAL(pread64)(fd, data, size, at);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
    if (is_slow(fd)) wait_for_the_disk(total(parts, count));
    return REAL(pwritev64)(fd, parts, count, at);
}

ssize_t write(int fd, const void *data, size_t size) {
    if (is_slow(fd)) wait_for_the_disk(size);
    return REAL(write)(fd, data, size);
}

ssize_t read(int fd, void *data, size_t size) {
    if (is_slow(fd)) wait_for_the_disk(size);
    return REAL(read)(fd, data, size);
}

size_t fwrite(const void *data, size_t size, size_t count, FILE *file) {
    if (is_slow(fileno(file))) wait_for_the_disk(size * count);
    return REAL(fwrite)(data, size, count, file);
}

size_t fread(void *data, size_t size, size_t count, FILE *file) {
    if (is_slow(fileno(file))) wait_for_the_disk(size * count);
    return REAL(fread)(data, size, count, file);
}

int sync_file_range(int fd, off64_t at, off64_t size, unsigned flags) {
    if (is_slow(fd)) wait_for_the_disk((size_t)size);
    return REAL(sync_file_range)(fd, at, size, flags);
}

void *mmap64(void *where, size_t length, int protection, int flags, int fd, off64_t at) {
    void *start = REAL(mmap64)(where, length, protection, flags, fd, at);
    if (start != MAP_FAILED && fd >= 0 && is_slow(fd)) {
        unsigned slot = __atomic_fetch_add(&next_mapping, 1, __ATOMIC_RELAXED) % MAPPINGS;
        mappings[slot].start = start;
        mappings[slot].length = length;
    }
    return start;
}

int msync(void *start, size_t length, int flags) {
    for (int i = 0; i < MAPPINGS; i++) {
        char *from = mappings[i].start;
        if (from && (char *)start >= from && (char *)start < from + mappings[i].length) {
            wait_for_the_disk(length);
            break;
        }
    }
    return REAL(msync)(start, length, flags);
}
