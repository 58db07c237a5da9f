// Arenas: one owner for many small allocations of the same lifetime. Memory is zeroed, aligned to 64 bytes on request
// (16 otherwise), and freed all at once. Out of memory ends the program with a message (exit code 3): a front end that
// cannot get a few kilobytes has nothing left to save, and the event logs already hold all results.
#pragma once
#include <stdarg.h>
#include <stddef.h>

struct arena_block;
struct arena {
  struct arena_block *blocks;  // newest first
  size_t used_total;           // bytes handed out, for reports
};

// Zeroed memory of `size` bytes, owned by the arena. An arena of all zeroes is empty and ready.
void *arena_alloc(struct arena *arena, size_t size);
// count * size bytes, checked for overflow.
void *arena_array(struct arena *arena, size_t count, size_t size);
// Grows an array that `old` holds (old_count elements) to new_count; the old memory stays with the arena.
void *arena_grow(struct arena *arena, const void *old, size_t old_count, size_t new_count, size_t size);
char *arena_copy(struct arena *arena, const void *bytes, size_t length);  // and a terminating NUL
char *arena_string(struct arena *arena, const char *text);
char *arena_format(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vformat(struct arena *arena, const char *format, va_list arguments);
void arena_free(struct arena *arena);  // frees all; the arena is empty and ready again

// malloc/calloc/realloc for what outlives arenas or must grow in place; end the program when memory is out.
void *memory_get(size_t size);  // zeroed
void *memory_grow(void *old, size_t size);
