// See file.h.
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

int file_open(const char *path, int64_t *size, struct error *error) {
  struct stat status;
  int file = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (file < 0 && errno != ENXIO) {  // a socket
    bool missing = errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
    error_set_errno(error, missing ? EXIT_USAGE_ERROR : EXIT_ENVIRONMENT, "cannot read %s", path);
    return -1;
  }
  if (file >= 0 && fstat(file, &status) == 0 && S_ISREG(status.st_mode)) {
    if (size) *size = status.st_size;
    return file;
  }
  bool known = file >= 0 && fstat(file, &status) == 0;
  error_set(error, EXIT_USAGE_ERROR, "%s is %s: a file is needed there", path,
            known && S_ISDIR(status.st_mode)    ? "a folder"
            : known && S_ISFIFO(status.st_mode) ? "a pipe"
            : known && S_ISCHR(status.st_mode)  ? "a device"
            : known && S_ISBLK(status.st_mode)  ? "a device"
                                                : "no file");
  if (file >= 0) close(file);
  return -1;
}

char *file_read(struct arena *arena, const char *path, size_t *length, struct error *error) {
  int descriptor = file_open(path, NULL, error);
  FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "rb");
  if (!file) {
    if (descriptor >= 0) {
      error_set_errno(error, EXIT_ENVIRONMENT, "cannot read %s", path);
      close(descriptor);
    }
    return NULL;
  }
  size_t used = 0, capacity = 1 << 14;
  char *bytes = memory_get(capacity);
  for (;;) {
    size_t got = fread(bytes + used, 1, capacity - used, file);
    used += got;
    if (got == 0) break;
    if (used == capacity) bytes = memory_grow(bytes, capacity *= 2);
  }
  bool fine = !ferror(file);
  if (!fine) error_set_errno(error, EXIT_ENVIRONMENT, "cannot read %s", path);
  fclose(file);
  char *copy = fine ? arena_copy(arena, bytes, used) : NULL;
  free(bytes);
  if (length) *length = used;
  return copy;
}

bool file_read_at(int file, const char *path, void *bytes, size_t length, int64_t from, struct error *error) {
  for (char *to = bytes; length > 0;) {
    ssize_t got = pread(file, to, length, from);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return error_set_errno(error, EXIT_ENVIRONMENT, "cannot read %s", path);
    if (got == 0) return error_set(error, EXIT_USAGE_ERROR, "%s ends too early", path);
    to += got;
    from += got;
    length -= (size_t)got;
  }
  return true;
}

bool folder_sync(const char *path, struct error *error) {
  int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return error_set_errno(error, EXIT_ENVIRONMENT, "cannot open folder %s", path);
  // Some file systems refuse to sync a folder (EINVAL): nothing more can be done there.
  bool fine = fsync(folder) == 0 || errno == EINVAL;
  if (!fine) error_set_errno(error, EXIT_ENVIRONMENT, "cannot sync folder %s", path);
  close(folder);
  return fine;
}

bool file_write_all(int file, const void *bytes, size_t length) {
  const char *from = bytes;
  while (length > 0) {
    ssize_t wrote = write(file, from, length);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    from += wrote;
    length -= (size_t)wrote;
  }
  return true;
}

// A device or a pipe takes what is written; a file renamed over it would be in its place.
static bool write_into(const char *path, const void *bytes, size_t length, struct error *error) {
  int file = open(path, O_WRONLY | O_CLOEXEC);
  bool fine = file >= 0 && file_write_all(file, bytes, length);
  if (!fine) error_set_errno(error, EXIT_ENVIRONMENT, "cannot write %s", path);
  if (file >= 0) close(file);
  return fine;
}

bool file_write_atomic(const char *path, const void *bytes, size_t length, struct error *error) {
  char temporary[PATH_MAX], folder[PATH_MAX];
  struct stat there;
  if (stat(path, &there) == 0 && !S_ISREG(there.st_mode) && !S_ISDIR(there.st_mode))
    return write_into(path, bytes, length, error);
  if (snprintf(temporary, sizeof temporary, "%s.tmp-%d", path, (int)getpid()) >= (int)sizeof temporary)
    return error_set(error, EXIT_ENVIRONMENT, "path too long: %s", path);
  int file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) return error_set_errno(error, EXIT_ENVIRONMENT, "cannot write %s", temporary);
  if (!file_write_all(file, bytes, length)) goto failed;
  if (fsync(file) != 0) goto failed;
  if (close(file) != 0) {
    file = -1;
    goto failed;
  }
  file = -1;
  if (rename(temporary, path) != 0) goto failed;
  snprintf(folder, sizeof folder, "%s", path);
  char *slash = strrchr(folder, '/');
  if (slash == folder)
    slash[1] = '\0';
  else if (slash)
    *slash = '\0';
  return folder_sync(slash ? folder : ".", error);
failed:
  error_set_errno(error, EXIT_ENVIRONMENT, "cannot write %s", path);
  if (file >= 0) close(file);
  unlink(temporary);
  return false;
}

void file_remove_unfinished(const char *path) {
  char folder[PATH_MAX], one[2 * PATH_MAX];
  snprintf(folder, sizeof folder, "%s", path);
  char *slash = strrchr(folder, '/');
  const char *name = slash ? slash + 1 : path;
  char start[NAME_MAX + 8];
  snprintf(start, sizeof start, "%.*s.tmp-", NAME_MAX, name);
  if (slash) *slash = '\0';
  DIR *entries = opendir(!slash ? "." : *folder ? folder : "/");
  if (!entries) return;
  for (struct dirent *entry; (entry = readdir(entries));) {
    if (!starts_with(entry->d_name, start)) continue;
    snprintf(one, sizeof one, "%s/%s", !slash ? "." : folder, entry->d_name);
    unlink(one);
  }
  closedir(entries);
}

bool file_exists(const char *path) { return access(path, F_OK) == 0; }

bool folder_make(const char *path, struct error *error) {
  char partial[PATH_MAX];
  if (snprintf(partial, sizeof partial, "%s", path) >= (int)sizeof partial)
    return error_set(error, EXIT_ENVIRONMENT, "path too long: %s", path);
  // Mostly only the last folder is missing, or none.
  int why = mkdir(partial, 0777) == 0 ? 0 : errno;
  if (why == 0) return true;
  for (char *c = partial + 1; why != EEXIST; c++) {
    if (*c != '/' && *c != '\0') continue;
    char kept = *c;
    *c = '\0';
    if (mkdir(partial, 0777) != 0 && errno != EEXIST)
      return error_set_errno(error, EXIT_ENVIRONMENT, "cannot make folder %s", partial);
    *c = kept;
    if (!kept) break;
  }
  struct stat status;
  if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
    return error_set(error, EXIT_ENVIRONMENT, "%s is in the way: a folder is needed there", path);
  return true;
}

char *folder_temporary(struct arena *arena, const char *name, struct error *error) {
  const char *parent = getenv("TMPDIR");
  char *path = arena_format(arena, "%s/%s-XXXXXX", parent && *parent ? parent : "/tmp", name);
  if (mkdtemp(path)) return path;
  error_set_errno(error, EXIT_ENVIRONMENT, "cannot make the folder %s", path);
  return NULL;
}

// What is done with an entry of an open folder; `path` is for messages.
typedef bool entry_function(int parent, const char *name, const char *path, double *bytes, struct error *error);

// Calls it for each entry of the folder `name`, which is opened without following a link.
static bool each_entry(int parent, const char *name, const char *path, entry_function *call, double *bytes,
                       struct error *error) {
  int file = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *folder = file < 0 ? NULL : fdopendir(file);
  if (!folder) {
    error_set_errno(error, EXIT_ENVIRONMENT, "cannot open folder %s", path);
    if (file >= 0) close(file);
    return false;
  }
  bool fine = true;
  for (struct dirent *entry; fine && (entry = readdir(folder));) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    struct text inside = {0};
    text_format(&inside, "%s/%s", path, entry->d_name);
    fine = call(file, entry->d_name, text_string(&inside), bytes, error);
    text_free(&inside);
  }
  closedir(folder);
  return fine;
}

// Removes an entry of an open folder, and what is below it; links are removed, never followed, also where a folder is
// exchanged for a link meanwhile.
static bool remove_entry(int parent, const char *name, const char *path, double *bytes, struct error *error) {
  struct stat status;
  if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT || error_set_errno(error, EXIT_ENVIRONMENT, "cannot remove %s", path);
  bool is_folder = S_ISDIR(status.st_mode);
  if (is_folder && !each_entry(parent, name, path, remove_entry, bytes, error)) return false;
  return unlinkat(parent, name, is_folder ? AT_REMOVEDIR : 0) == 0 ||
         error_set_errno(error, EXIT_ENVIRONMENT, "cannot remove %s", path);
}

static bool add_bytes(int parent, const char *name, const char *path, double *bytes, struct error *error) {
  struct stat status;
  if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) != 0)  // or it went away just now
    return errno == ENOENT || error_set_errno(error, EXIT_ENVIRONMENT, "cannot look at %s", path);
  if (S_ISDIR(status.st_mode)) return each_entry(parent, name, path, add_bytes, bytes, error);
  *bytes += (double)status.st_size;
  return true;
}

bool folder_bytes(const char *path, double *bytes, struct error *error) {
  *bytes = 0;
  return add_bytes(AT_FDCWD, path, path, bytes, error);
}

bool folder_remove(const char *path, struct error *error) { return remove_entry(AT_FDCWD, path, path, NULL, error); }

int file_open_own(const char *path, int flags, struct error *error) {
  int file = open(path, flags | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (file < 0 && errno == ELOOP)
    error_set(error, EXIT_ENVIRONMENT, FILE_IS_A_LINK, path);
  else if (file < 0)
    error_set_errno(error, EXIT_ENVIRONMENT, "cannot open %s", path);
  return file;
}

int file_lock(const char *path, bool *busy, struct error *error) {
  *busy = false;
  int file = file_open_own(path, O_RDWR | O_CREAT, error);
  if (file < 0) return -1;
  if (flock(file, LOCK_EX | LOCK_NB) == 0) return file;
  if (errno == EWOULDBLOCK)
    *busy = true;
  else
    error_set_errno(error, EXIT_ENVIRONMENT, "cannot lock %s", path);
  close(file);
  return -1;
}

int file_lock_wait(const char *path, int seconds, struct error *error) {
  struct arena arena = {0};
  const char *slash = strrchr(path, '/');
  int lock = -1;
  bool busy = true;
  if (!slash || folder_make(arena_copy(&arena, path, (size_t)(slash - path)), error)) {
    for (int wait = 0; lock < 0 && busy && wait <= 10 * seconds; wait++) {
      if (wait) nanosleep(&(struct timespec){0, 100 * 1000 * 1000}, NULL);
      lock = file_lock(path, &busy, error);
    }
    if (lock < 0 && busy) error_set(error, EXIT_ENVIRONMENT, "%s is held by another process", path);
  }
  arena_free(&arena);
  return lock;
}

char *path_join(struct arena *arena, const char *folder, const char *name) {
  if (name[0] == '/' || !*folder) return arena_string(arena, name);
  return arena_format(arena, "%s%s%s", folder, folder[strlen(folder) - 1] == '/' ? "" : "/", name);
}

// Puts the names of `rest` behind an absolute path, one by one.
static char *path_clean(struct arena *arena, char *path, const char *rest) {
  while (*(rest += strspn(rest, "/"))) {
    size_t length = strcspn(rest, "/");
    const char *name = arena_copy(arena, rest, length);
    rest += length;
    char *slash = strrchr(path, '/');
    if (strcmp(name, "..") == 0)
      slash[slash == path] = '\0';
    else if (strcmp(name, ".") != 0)
      path = path_join(arena, path, name);
  }
  return path;
}

char *path_canonical(struct arena *arena, const char *path) {
  const char *home = getenv("HOME");
  char folder[PATH_MAX], real[PATH_MAX];
  if (path[0] == '~' && (path[1] == '/' || !path[1]) && home && *home)
    path = arena_format(arena, "%s%s", home, path + 1);
  char *whole = path_join(arena, getcwd(folder, sizeof folder) ? folder : "/", path),
       *start = arena_string(arena, whole);
  // The longest part that is there, by the file system; what is behind it as text.
  for (size_t end = strlen(start); end > 0; start[end] = '\0') {
    if (realpath(start, real)) return path_clean(arena, arena_string(arena, real), whole + end);
    while (end > 0 && start[end - 1] == '/') end--;
    while (end > 0 && start[end - 1] != '/') end--;
  }
  return path_clean(arena, arena_string(arena, "/"), whole);
}

char *isoloss_home(struct arena *arena) {
  const char *home = getenv("ISOLOSS_HOME");
  return arena_string(arena, home && *home ? home : "./out");
}

char *isoloss_cache(struct arena *arena) {
  const char *cache = getenv("XDG_CACHE_HOME");
  if (cache && *cache) return path_join(arena, cache, "isoloss");
  const char *home = getenv("HOME");
  return path_join(arena, home && *home ? home : ".", ".cache/isoloss");
}

static char *program_folder(struct arena *arena) {
  char path[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length <= 0) return arena_string(arena, ".");
  path[length] = '\0';
  char *slash = strrchr(path, '/');
  if (slash) *slash = '\0';
  return arena_string(arena, path);
}

char *path_of_program(struct arena *arena, const char *name) { return path_join(arena, program_folder(arena), name); }

char *isoloss_data(struct arena *arena, const char *name) {
  const char *data = getenv("ISOLOSS_DATA");
  if (data && *data) return path_join(arena, data, name);
  // In a build folder the program is next to meson's own files: use the source tree, so that edits count at once.
  char *folder = program_folder(arena);
  if (file_exists(path_join(arena, folder, "meson-private")) ||
      file_exists(path_join(arena, folder, "../meson-private")))
    return path_join(arena, ISOLOSS_SOURCE_FOLDER,
                     strcmp(name, "laws") == 0      ? "fitting/laws"
                     : strcmp(name, "corpora") == 0 ? "trainer/corpora"
                                                    : name);
  // Installed: next to the program's own bin folder, so that an installation can be moved; else where it was meant to
  // be.
  char *share = path_join(arena, folder, "../share/isoloss");
  return path_join(arena, file_exists(share) ? share : ISOLOSS_SHARE_FOLDER, name);
}
