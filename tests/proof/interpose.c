/* Stands between a program and its disk and clock: loaded before it (LD_PRELOAD), it writes down what the program does to the files
 * below one folder, lets chosen calls fail, and moves its clocks. `interpose.rs` beside this builds and steers it.
 *
 *   INTERPOSE_FOLDER   only files below it count; a real path without links
 *   INTERPOSE_TRACE    where records go (outside of the folder); none: nothing is recorded
 *   INTERPOSE_CONTROL  a file of 64-bit words, shared with who steers; see WORD_*. Its changes hold at once
 *
 * A record is written after the call has succeeded, by one appending write, so that several processes may share a trace and a cause
 * stands before its effect: an answer that was recorded after a sync was given after it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The words of the control file. Counting begins with 1; a 0 switches a fault off. */
enum {
    WORD_CLOCK_MS,    /* added to the wall clock */
    WORD_FULL_FROM,   /* from this write on there is no space */
    WORD_FULL_UNTIL,  /* up to this one; 0: for ever */
    WORD_SYNC_FAILS,  /* this sync fails, and what it should have saved is never saved */
    WORD_READ_FAILS,  /* this read and all later ones fail */
    WORD_TIMERS_MS,   /* added to the clock that timers run by; it may only grow */
    WORD_WRITES = 8,  /* writes so far */
    WORD_SYNCS,
    WORD_READS,
    WORD_FAULTS,      /* calls that were made to fail */
    WORDS = 16
};

enum { OP_WRITE = 'w', OP_TRUNCATE = 't', OP_SYNC = 's', OP_SYNC_FAILED = 'f', OP_CREATE = 'c', OP_UNLINK = 'u', OP_RENAME = 'r', OP_MKDIR = 'd' };

/* What stands before a record's path and data; `interpose.rs` reads the same. */
struct record {
    uint64_t offset;
    uint32_t data_length;
    uint16_t path_length;
    uint8_t op;
    uint8_t zero;
};

static char folder[4096];
static size_t folder_length;
static int trace = -1;
static int64_t no_control[WORDS];
static int64_t *control = no_control;

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))next((void **)&cached, #name)
#define CACHED static void *cached

static void *next(void **cached, const char *name) {
    void *found = __atomic_load_n(cached, __ATOMIC_RELAXED);
    if (!found) {
        found = dlsym(RTLD_NEXT, name);
        __atomic_store_n(cached, found, __ATOMIC_RELAXED);
    }
    return found;
}

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("INTERPOSE_FOLDER");
    if (name) {
        folder_length = strlen(strncpy(folder, name, sizeof folder - 1));
    }
    name = getenv("INTERPOSE_TRACE");
    if (name) {
        trace = (int)syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (trace < 0) {
            abort();
        }
    }
    name = getenv("INTERPOSE_CONTROL");
    if (name) {
        int fd = (int)syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC, 0);
        void *words = mmap(NULL, sizeof no_control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (fd < 0 || words == MAP_FAILED) {
            abort();
        }
        syscall(SYS_close, fd);
        control = words;
    }
}

static int64_t word(int which) { return __atomic_load_n(&control[which], __ATOMIC_SEQ_CST); }
static int64_t count(int which) { return __atomic_add_fetch(&control[which], 1, __ATOMIC_SEQ_CST); }

static int is_below(const char *path) {
    return folder_length && !strncmp(path, folder, folder_length) && (path[folder_length] == '/' || !path[folder_length]);
}

/* The path of an open file, when it is below the folder. */
static int path_of(int fd, char path[4096]) {
    char link[40];
    if (!folder_length) {
        return 0;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, 4095);
    if (length <= 0) {
        return 0;
    }
    path[length] = 0;
    return is_below(path);
}

static void record(int op, const char *path, uint64_t offset, const void *data, size_t length) {
    if (trace < 0) {
        return;
    }
    struct record head = {offset, (uint32_t)length, (uint16_t)strlen(path), (uint8_t)op, 0};
    struct iovec parts[3] = {{&head, sizeof head}, {(void *)path, head.path_length}, {(void *)data, length}};
    if (syscall(SYS_writev, trace, parts, 3) != (ssize_t)(sizeof head + head.path_length + length)) {
        abort(); /* a trace with a hole would judge wrongly */
    }
}

static int fails(int error) {
    count(WORD_FAULTS);
    errno = error;
    return 1;
}

/* True when the next write finds no space. */
static int is_full(void) {
    int64_t now = count(WORD_WRITES), from = word(WORD_FULL_FROM), until = word(WORD_FULL_UNTIL);
    return from && now >= from && (!until || now <= until) && fails(ENOSPC);
}

static int is_unreadable(int fd) {
    char path[4096];
    if (!word(WORD_READ_FAILS) || !path_of(fd, path)) {
        return 0;
    }
    return count(WORD_READS) >= word(WORD_READ_FAILS) && fails(EIO);
}

/* Writes */

static void wrote_here(int fd, const char *path, const void *data, ssize_t done) {
    if (done > 0) {
        record(OP_WRITE, path, (uint64_t)(lseek(fd, 0, SEEK_CUR) - done), data, (size_t)done);
    }
}

ssize_t write(int fd, const void *data, size_t length) {
    CACHED;
    REAL(write);
    char path[4096];
    if (!path_of(fd, path)) {
        return real(fd, data, length);
    }
    if (is_full()) {
        return -1;
    }
    ssize_t done = real(fd, data, length);
    wrote_here(fd, path, data, done);
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int parts_count) {
    CACHED;
    REAL(writev);
    char path[4096];
    if (!path_of(fd, path)) {
        return real(fd, parts, parts_count);
    }
    /* Part by part: fewer bytes than asked for is an answer that callers know. */
    return parts_count > 0 ? write(fd, parts[0].iov_base, parts[0].iov_len) : 0;
}

#define PWRITE(name, offset_type)                                                   \
    ssize_t name(int fd, const void *data, size_t length, offset_type offset) {     \
        CACHED;                                                                     \
        REAL(name);                                                                 \
        char path[4096];                                                            \
        if (!path_of(fd, path)) {                                                   \
            return real(fd, data, length, offset);                                  \
        }                                                                           \
        if (is_full()) {                                                            \
            return -1;                                                              \
        }                                                                           \
        ssize_t done = real(fd, data, length, offset);                              \
        if (done > 0) {                                                             \
            record(OP_WRITE, path, (uint64_t)offset, data, (size_t)done);           \
        }                                                                           \
        return done;                                                                \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define TRUNCATE(name, offset_type)                                                 \
    int name(int fd, offset_type length) {                                          \
        CACHED;                                                                     \
        REAL(name);                                                                 \
        char path[4096];                                                            \
        if (!path_of(fd, path)) {                                                   \
            return real(fd, length);                                                \
        }                                                                           \
        if (is_full()) {                                                            \
            return -1;                                                              \
        }                                                                           \
        int done = real(fd, length);                                                \
        if (!done) {                                                                \
            record(OP_TRUNCATE, path, (uint64_t)length, "", 0);                     \
        }                                                                           \
        return done;                                                                \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

/* Syncs */

#define SYNC(name)                                                                  \
    int name(int fd) {                                                              \
        CACHED;                                                                     \
        REAL(name);                                                                 \
        char path[4096];                                                            \
        if (!path_of(fd, path)) {                                                   \
            return real(fd);                                                        \
        }                                                                           \
        if (count(WORD_SYNCS) == word(WORD_SYNC_FAILS)) {                           \
            record(OP_SYNC_FAILED, path, 0, "", 0);                                 \
            fails(EIO);                                                             \
            return -1;                                                              \
        }                                                                           \
        /* Nothing here lasts but for the trace: the disk itself is not waited for. */ \
        int done = trace < 0 ? real(fd) : 0;                                        \
        if (!done) {                                                                \
            record(OP_SYNC, path, 0, "", 0);                                        \
        }                                                                           \
        return done;                                                                \
    }
SYNC(fsync)
SYNC(fdatasync)

/* Reads */

ssize_t read(int fd, void *data, size_t length) {
    CACHED;
    REAL(read);
    return is_unreadable(fd) ? -1 : real(fd, data, length);
}

ssize_t pread(int fd, void *data, size_t length, off_t offset) {
    CACHED;
    REAL(pread);
    return is_unreadable(fd) ? -1 : real(fd, data, length, offset);
}

ssize_t pread64(int fd, void *data, size_t length, off64_t offset) {
    CACHED;
    REAL(pread64);
    return is_unreadable(fd) ? -1 : real(fd, data, length, offset);
}

/* Names */

static int opened(int fd, int flags, int was_there) {
    char path[4096];
    int error = errno;
    if (fd >= 0 && flags & (O_CREAT | O_TRUNC) && path_of(fd, path)) {
        if (!was_there) {
            record(OP_CREATE, path, 0, "", 0);
        } else if (flags & O_TRUNC) {
            record(OP_TRUNCATE, path, 0, "", 0);
        }
    }
    errno = error;
    return fd;
}

static int is_there(int at, const char *path, int flags) {
    struct stat found;
    return !(flags & O_CREAT) || !fstatat(at, path, &found, 0);
}

#define OPEN(name)                                                                  \
    int name(const char *path, int flags, ...) {                                    \
        CACHED;                                                                     \
        REAL(name);                                                                 \
        va_list rest;                                                               \
        va_start(rest, flags);                                                      \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;     \
        va_end(rest);                                                               \
        int was_there = is_there(AT_FDCWD, path, flags);                            \
        return opened(real(path, flags, mode), flags, was_there);                   \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                \
    int name(int at, const char *path, int flags, ...) {                            \
        CACHED;                                                                     \
        REAL(name);                                                                 \
        va_list rest;                                                               \
        va_start(rest, flags);                                                      \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;     \
        va_end(rest);                                                               \
        int was_there = is_there(at, path, flags);                                  \
        return opened(real(at, path, flags, mode), flags, was_there);               \
    }
OPENAT(openat)
OPENAT(openat64)

int unlink(const char *path) {
    CACHED;
    REAL(unlink);
    int done = real(path);
    if (!done && is_below(path)) {
        record(OP_UNLINK, path, 0, "", 0);
    }
    return done;
}

int rename(const char *from, const char *to) {
    CACHED;
    REAL(rename);
    int done = real(from, to);
    if (!done && (is_below(from) || is_below(to))) {
        record(OP_RENAME, from, 0, to, strlen(to));
    }
    return done;
}

int mkdir(const char *path, mode_t mode) {
    CACHED;
    REAL(mkdir);
    int done = real(path, mode);
    if (!done && is_below(path)) {
        record(OP_MKDIR, path, 0, "", 0);
    }
    return done;
}

/* Clocks: the wall clock and that of timers, each by its own word. */

static int64_t added_to(clockid_t clock) {
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        return word(WORD_CLOCK_MS);
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
        return word(WORD_TIMERS_MS);
    default:
        return 0;
    }
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    CACHED;
    REAL(clock_gettime);
    int done = real(clock, time);
    int64_t add = added_to(clock);
    if (!done && add) {
        int64_t nanos = time->tv_nsec + (add % 1000) * 1000000;
        time->tv_sec += add / 1000 + (nanos >= 1000000000) - (nanos < 0);
        time->tv_nsec = nanos + (nanos < 0 ? 1000000000 : nanos >= 1000000000 ? -1000000000 : 0);
    }
    return done;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *time = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *where) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where) {
        *where = now.tv_sec;
    }
    return now.tv_sec;
}
