// Loaded in front of the C library (LD_PRELOAD): the wall clock stands at the microseconds of Unix time that the file
// named by SERVERS_CLOCK holds, eight bytes; at 0 it runs as it does. Monotonic clocks are left alone.

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *set;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("SERVERS_CLOCK");
    int file = path ? open(path, O_RDONLY) : -1;
    void *found = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *set, PROT_READ, MAP_SHARED, file, 0);
    if (found != MAP_FAILED) set = found;
    if (file >= 0) close(file);
}

int clock_gettime(clockid_t id, struct timespec *time) {
    int64_t now = set ? *set : 0;
    if (!now || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE)) return syscall(SYS_clock_gettime, id, time);
    time->tv_sec = now / 1000000;
    time->tv_nsec = now % 1000000 * 1000;
    return 0;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into) *into = now.tv_sec;
    return now.tv_sec;
}
