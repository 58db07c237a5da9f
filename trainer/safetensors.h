// The safetensors file format (huggingface/safetensors): 8 bytes little-endian length of a JSON header, the header, raw
// little-endian row-major data. The header maps a tensor's name to {"dtype", "shape", "data_offsets": [begin, end]},
// offsets counted from the end of the header; "__metadata__" maps text to text.
#pragma once
#include <stdint.h>
#include <stdio.h>

#include "base/base.h"

enum { SAFETENSORS_DIMENSIONS = 8 };

struct safetensors_tensor {
  const char *name;
  const char *dtype;  // "F32", "BF16", ...
  int dimensions;
  int64_t shape[SAFETENSORS_DIMENSIONS];
  int64_t begin, end;  // bytes from the start of the data
};

// A line of the metadata.
struct safetensors_note {
  const char *key, *value;
};

// Appends the length and the header, padded with spaces so that the data starts at a multiple of 64 bytes. The metadata
// is {"format": "pt"}, as transformers asks for, and the notes. The tensors' offsets must be set and cover the data
// without holes.
void safetensors_header(const struct safetensors_tensor *tensors, int count, const struct safetensors_note *notes,
                        int note_count, struct text *out);

struct safetensors_file {
  int file;  // descriptor, -1 when closed
  const char *path;
  int count;
  struct safetensors_tensor *tensors;  // in the order of their data
  int64_t data_start;                  // bytes from the start of the file
  struct safetensors_note *notes;      // of the metadata, those that are text
  int note_count;
};

// Opens and checks a file. Refused, with the reason: not a safetensors file, a header that is too long, no JSON, or has
// a tensor without its three fields, an unknown dtype, a negative or overflowing shape, offsets that overlap, leave
// holes, do not fit the shape, or do not end with the file. EXIT_USAGE_ERROR; EXIT_ENVIRONMENT when it cannot be read.
bool safetensors_open(struct arena *arena, const char *path, struct safetensors_file *file, struct error *error);
void safetensors_close(struct safetensors_file *file);
const struct safetensors_tensor *safetensors_find(const struct safetensors_file *file, const char *name);
// What the metadata says under a key, or NULL.
const char *safetensors_note(const struct safetensors_file *file, const char *key);
// Reads bytes [from, from + length) of a tensor's data.
bool safetensors_read(const struct safetensors_file *file, const struct safetensors_tensor *tensor, int64_t from,
                      void *bytes, size_t length, struct error *error);
