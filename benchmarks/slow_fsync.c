/* Makes a flush to the disk take as long as on a network disk: preloaded into PostgreSQL, see slow_disk.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <time.h>

#ifndef SLOW_NANOSECONDS
#define SLOW_NANOSECONDS 2000000
#endif

/* A signal ends a sleep, so it is until a moment and not for a time. */
static int slowly(const char *name, int file) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  int (*flush)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  int outcome = flush(file);
  int error = errno;
  until.tv_nsec += SLOW_NANOSECONDS;
  until.tv_sec += until.tv_nsec / 1000000000;
  until.tv_nsec %= 1000000000;
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
  }
  errno = error;
  return outcome;
}

int fsync(int file) { return slowly("fsync", file); }
int fdatasync(int file) { return slowly("fdatasync", file); }
