// Arena allocation: a list of blocks that double in size up to 1 MiB.
#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

struct arena_block {
  struct arena_block *next;
  size_t used, size;
  _Alignas(16) unsigned char bytes[];
};

static void out_of_memory(size_t size) {
  fprintf(stderr, "isoloss: out of memory (%zu bytes asked for)\n", size);
  exit(EXIT_ENVIRONMENT);
}

void *memory_get(size_t size) {
  void *memory = calloc(1, size ? size : 1);
  if (!memory) out_of_memory(size);
  return memory;
}

void *memory_grow(void *old, size_t size) {
  void *memory = realloc(old, size ? size : 1);
  if (!memory) out_of_memory(size);
  return memory;
}

void *arena_alloc(struct arena *arena, size_t size) {
  size_t rounded = (size + 15) & ~(size_t)15;
  if (rounded < size) out_of_memory(size);
  struct arena_block *block = arena->blocks;
  if (!block || block->size - block->used < rounded) {
    size_t next = block ? block->size * 2 : 4096;
    if (next > (1u << 20)) next = 1u << 20;
    if (next < rounded) next = rounded;
    struct arena_block *fresh = calloc(1, sizeof *fresh + next);
    if (!fresh) {
      out_of_memory(size);
      return NULL;
    }
    fresh->size = next;
    // A block made for one large request goes behind the current one, which may still have room.
    if (block && rounded > block->size - block->used && next == rounded && block->size - block->used > 256) {
      fresh->used = rounded;
      fresh->next = block->next;
      block->next = fresh;
      arena->used_total += rounded;
      return fresh->bytes;
    }
    fresh->next = block;
    arena->blocks = block = fresh;
  }
  void *memory = block->bytes + block->used;
  block->used += rounded;
  arena->used_total += rounded;
  return memory;
}

void *arena_array(struct arena *arena, size_t count, size_t size) {
  if (size && count > SIZE_MAX / size) out_of_memory(SIZE_MAX);
  return arena_alloc(arena, count * size);
}

void *arena_grow(struct arena *arena, const void *old, size_t old_count, size_t new_count, size_t size) {
  void *fresh = arena_array(arena, new_count, size);
  if (old_count) memcpy(fresh, old, (old_count < new_count ? old_count : new_count) * size);
  return fresh;
}

char *arena_copy(struct arena *arena, const void *bytes, size_t length) {
  char *copy = arena_alloc(arena, length + 1);
  if (length) memcpy(copy, bytes, length);
  return copy;
}

char *arena_string(struct arena *arena, const char *text) { return arena_copy(arena, text, strlen(text)); }

char *arena_vformat(struct arena *arena, const char *format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  int length = vsnprintf(NULL, 0, format, again);
  va_end(again);
  if (length < 0) length = 0;
  char *text = arena_alloc(arena, (size_t)length + 1);
  vsnprintf(text, (size_t)length + 1, format, arguments);
  return text;
}

char *arena_format(struct arena *arena, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *text = arena_vformat(arena, format, arguments);
  va_end(arguments);
  return text;
}

void arena_free(struct arena *arena) {
  for (struct arena_block *block = arena->blocks, *next; block; block = next) {
    next = block->next;
    free(block);
  }
  *arena = (struct arena){0};
}
