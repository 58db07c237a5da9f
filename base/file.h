// Files: reading whole, writing atomically (temporary name, fsync, rename), folders, locks, and where isoloss keeps
// things.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

// Opens a file to read it; *size (may be NULL) gets its size. What is no file is refused at once, however it is named:
// a folder, a device, a pipe that nobody writes. -1 on error; the caller closes the descriptor.
int file_open(const char *path, int64_t *size, struct error *error);
// The whole file, NUL-terminated, owned by the arena; *length (may be NULL) gets its size. NULL on error.
char *file_read(struct arena *arena, const char *path, size_t *length, struct error *error);
// Reads bytes [from, from + length) of an open file; an error where it ends before them. `path` is for messages.
bool file_read_at(int file, const char *path, void *bytes, size_t length, int64_t from, struct error *error);
// Writes all bytes to an open file, however often it takes; false with errno.
bool file_write_all(int file, const void *bytes, size_t length);
// Writes bytes to PATH.tmp-PID, syncs it, renames it to PATH and syncs the folder: readers see the old or the new file.
// A device or pipe at PATH is written into.
bool file_write_atomic(const char *path, const void *bytes, size_t length, struct error *error);
// Removes what writers of this file left that were killed on the way. For who knows that nobody writes it now.
void file_remove_unfinished(const char *path);
bool file_exists(const char *path);
bool folder_make(const char *path, struct error *error);  // with parents; fine when it is there
// A new folder of this process's own in $TMPDIR or /tmp, whose name begins so; in the arena. NULL on error.
char *folder_temporary(struct arena *arena, const char *name, struct error *error);
bool folder_remove(const char *path, struct error *error);  // with everything in it; fine when it is not there
// Bytes of the files in it and below, what links lead to apart; 0 when it is not there.
bool folder_bytes(const char *path, double *bytes, struct error *error);
bool folder_sync(const char *path, struct error *error);  // fsync of a folder, after renames in it

// Opens a file that this program writes by itself (a lock, a log); `flags` are those of open(). A link in its place is
// an error, EXIT_ENVIRONMENT as all others: a file of somebody else's may lie behind it. -1 on error.
int file_open_own(const char *path, int flags, struct error *error);
#define FILE_IS_A_LINK \
  "%s is a link: what it leads to would be written over. Put the file in its place, or remove the link"
// An exclusive flock() on the file (made if missing; a link is an error). Returns the descriptor, or -1: *busy says
// whether somebody else holds it (no error then). The lock ends with the descriptor, so with the process that holds it,
// however it dies.
int file_lock(const char *path, bool *busy, struct error *error);
// The same with the file's folder made, waiting for whoever holds it: some seconds, then an error. -1 on error. The
// caller closes the descriptor.
int file_lock_wait(const char *path, int seconds, struct error *error);

// $ISOLOSS_HOME or ./out: the database and the runs. $XDG_CACHE_HOME/isoloss or ~/.cache/isoloss: prepared corpora.
char *isoloss_home(struct arena *arena);
char *isoloss_cache(struct arena *arena);
// Where the files that ship (laws, experiments, corpus builder) are: $ISOLOSS_DATA, else the source tree when the
// program runs from its build folder, else ../share/isoloss next to the program or the installed share folder. `name`
// is relative ("laws", "experiments").
char *isoloss_data(struct arena *arena, const char *name);
char *path_join(struct arena *arena, const char *folder, const char *name);  // absolute `name` is taken as it is
// The one spelling of a path: absolute, without ".", "..", doubled slashes and links, as far as it leads to something;
// what follows (a glob, a file that is gone) is cleaned as text. "~" at its start is the user's home.
char *path_canonical(struct arena *arena, const char *path);
char *path_of_program(struct arena *arena, const char *name);  // a program next to the running one ("isoloss-train")
