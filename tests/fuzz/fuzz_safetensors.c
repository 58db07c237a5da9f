// Fuzz target: any bytes as a safetensors file, as they are and with a right length put in front. Each is refused with
// a message, or its tensors lie in the file without overlap, and can be read to their last byte and not beyond. An
// input that begins with a number has so many bytes of data behind its header.
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "trainer/safetensors.h"

enum { MOST_DATA = 1 << 16 };

static void look(const struct safetensors_file *file, size_t size) {
  struct error error = {0};
  int64_t at = 0;
  for (int i = 0; i < file->count; i++) {
    const struct safetensors_tensor *tensor = &file->tensors[i];
    if (!tensor->name || tensor->begin != at || tensor->end < tensor->begin) abort();
    if (file->data_start + tensor->end > (int64_t)size) abort();
    size_t length = (size_t)(tensor->end - tensor->begin);
    char *bytes = malloc(length + 1);
    if (!safetensors_read(file, tensor, 0, bytes, length, &error)) abort();
    if (safetensors_read(file, tensor, 1, bytes, length, &error)) abort();
    if (!safetensors_find(file, tensor->name)) abort();
    free(bytes);
    at = tensor->end;
  }
  for (int i = 0; i < file->note_count; i++)
    if (!safetensors_note(file, file->notes[i].key)) abort();
}

static void try_bytes(const void *bytes, size_t size) {
  struct arena arena = {0};
  struct error error = {0};
  struct safetensors_file file;
  if (safetensors_open(&arena, fuzz_file(bytes, size), &file, &error))
    look(&file, size);
  else if (error.code != EXIT_USAGE_ERROR || !*error.text || file.file != -1)
    abort();
  safetensors_close(&file);
  arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  try_bytes(bytes, length);
  char *text = fuzz_text(bytes, length), *header;
  size_t data = strtoul(text, &header, 10);
  if (data <= MOST_DATA) {
    uint64_t claimed = length - (size_t)(header - text);
    struct text whole = {0};
    text_append(&whole, &claimed, sizeof claimed);
    text_append(&whole, header, claimed);
    for (size_t i = 0; i < data; i++) text_char(&whole, (char)i);
    try_bytes(whole.bytes, whole.length);
    text_free(&whole);
  }
  free(text);
  return 0;
}
