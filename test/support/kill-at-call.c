/*
 * Preloaded into a process (LD_PRELOAD), this kills it with SIGKILL at one of its calls that change
 * something below a folder: at the call number KILL_AT of them, from 0 on, counted over all threads. A
 * write is done by half before; of any other call, every second one is done and every other is not.
 * The call is named on stderr.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#undef fwrite_unlocked

static atomic_long calls;

static int isBelow(const char *path) {
  const char *folder = getenv("KILL_BELOW");
  return folder && strncmp(path, folder, strlen(folder)) == 0;
}

static const char *pathOf(int file, char path[PATH_MAX]) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  path[length < 0 ? 0 : length] = '\0';
  return path;
}

/** The call is the one to die at. */
static int isLast(const char *path) {
  const char *at = getenv("KILL_AT");
  return at && isBelow(path) && atomic_fetch_add(&calls, 1) == atol(at);
}

static void die(const char *call, const char *path) {
  const char *name = strrchr(path, '/');
  dprintf(STDERR_FILENO, "killed at %s %s\n", call, name ? name + 1 : path);
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define IS_DONE_BEFORE (atol(getenv("KILL_AT")) % 2 == 1)

#define CHANGING_FILE(name, parameters, arguments)                 \
  int name parameters {                                            \
    char buffer[PATH_MAX];                                         \
    const char *path = pathOf(file, buffer);                       \
    if (!isLast(path)) return REAL(name) arguments;                \
    if (IS_DONE_BEFORE) REAL(name) arguments;                      \
    die(#name, path);                                              \
    return -1;                                                     \
  }

#define CHANGING_NAME(name, parameters, arguments)                 \
  int name parameters {                                            \
    if (!isLast(path)) return REAL(name) arguments;                \
    if (IS_DONE_BEFORE) REAL(name) arguments;                      \
    die(#name, path);                                              \
    return -1;                                                     \
  }

CHANGING_FILE(fsync, (int file), (file))
CHANGING_FILE(fdatasync, (int file), (file))
CHANGING_FILE(ftruncate64, (int file, off64_t size), (file, size))
CHANGING_NAME(mkdir, (const char *path, mode_t mode), (path, mode))
CHANGING_NAME(unlink, (const char *path), (path))
CHANGING_NAME(rmdir, (const char *path), (path))
CHANGING_NAME(rename, (const char *path, const char *to), (path, to))
CHANGING_NAME(link, (const char *path, const char *to), (path, to))

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if (!(flags & (O_CREAT | O_TRUNC)) || !isLast(path)) return REAL(open64)(path, flags, mode);
  if (IS_DONE_BEFORE) REAL(open64)(path, flags, mode);
  die("open", path);
  return -1;
}

FILE *fopen64(const char *path, const char *mode) {
  if (mode[0] == 'r' || !isLast(path)) return REAL(fopen64)(path, mode);
  if (IS_DONE_BEFORE) REAL(fopen64)(path, mode);
  die("fopen", path);
  return NULL;
}

/* To the buffer of a stream, and from there to the file. */
size_t fwrite_unlocked(const void *bytes, size_t size, size_t count, FILE *stream) {
  char path[PATH_MAX];
  if (!isLast(pathOf(fileno(stream), path))) return REAL(fwrite_unlocked)(bytes, size, count, stream);
  REAL(fwrite_unlocked)(bytes, 1, size * count / 2, stream);
  fflush(stream);
  die("fwrite_unlocked", path);
  return 0;
}

ssize_t write(int file, const void *bytes, size_t length) {
  char path[PATH_MAX];
  if (!isLast(pathOf(file, path))) return REAL(write)(file, bytes, length);
  REAL(write)(file, bytes, length / 2);
  die("write", path);
  return -1;
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t position) {
  char path[PATH_MAX];
  if (!isLast(pathOf(file, path))) return REAL(pwrite64)(file, bytes, length, position);
  REAL(pwrite64)(file, bytes, length / 2, position);
  die("pwrite", path);
  return -1;
}

/* Of several pieces, only the first is written, whole. */
ssize_t writev(int file, const struct iovec *pieces, int count) {
  char path[PATH_MAX];
  if (!isLast(pathOf(file, path))) return REAL(writev)(file, pieces, count);
  REAL(writev)(file, pieces, 1);
  die("writev", path);
  return -1;
}

ssize_t pwritev64(int file, const struct iovec *pieces, int count, off64_t position) {
  char path[PATH_MAX];
  if (!isLast(pathOf(file, path))) return REAL(pwritev64)(file, pieces, count, position);
  REAL(pwritev64)(file, pieces, 1, position);
  die("pwritev", path);
  return -1;
}
