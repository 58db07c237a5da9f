// See documents.h.
#include "trainer/data/documents.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  FEW_DOCUMENTS = 20,   // below this, documents are cut into pieces; or where fewer than ...
  FEW_HELD_BACK = 5,    // ... so many can be expected in the validation split
  PIECES_WANTED = 20,   // about so many pieces are held back then ...
  LEAST_PIECES = 200,   // ... of at least so many ...
  SMALLEST_PIECE = 64,  // ... within these sizes
  LARGEST_PIECE = 16384,
  BLOCK_TOKENS = 16384,  // of files of tokens
};

static bool map_file(struct documents *documents, const char *path, struct error *error) {
  int64_t size;
  int descriptor = file_open(path, &size, error);
  if (descriptor < 0) {
    if (access(path, F_OK) == 0 && access(path, R_OK) != 0) error->code = EXIT_USAGE_ERROR;  // named by the user
    return false;
  }
  struct mapped_file file = {.path = arena_string(&documents->arena, path)};
  if (size > 0) {
    void *mapping = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    file.size = (size_t)size;
    file.bytes = mapping == MAP_FAILED ? NULL : mapping;
  }
  int why = errno;
  close(descriptor);
  errno = why;
  if (file.size && !file.bytes) return error_set_errno(error, EXIT_ENVIRONMENT, "cannot map %s", path);
  documents->files = memory_grow(documents->files, (documents->file_count + 1) * sizeof *documents->files);
  documents->files[documents->file_count++] = file;
  return true;
}

static void add_piece(struct documents *documents, const char *bytes, size_t length, size_t file) {
  if (length == 0) return;
  if (documents->count == documents->capacity) {
    documents->capacity = documents->capacity ? documents->capacity * 2 : 256;
    documents->items = memory_grow(documents->items, documents->capacity * sizeof *documents->items);
  }
  documents->items[documents->count++] =
      (struct document_piece){.bytes = bytes, .length = length, .file = (uint32_t)file};
  documents->bytes += length;
}

static bool is_blank(const char *bytes, size_t length) {
  for (size_t i = 0; i < length; i++)
    if (!strchr(" \t\r\n", bytes[i]) || bytes[i] == '\0') return false;
  return true;
}

// The parts of a text between runs of two or more empty lines.
static void add_parts(struct documents *documents, const struct mapped_file *file, size_t index) {
  const char *at = file->bytes, *end = file->bytes + file->size;
  while (at < end) {
    const char *gap = memmem(at, (size_t)(end - at), "\n\n\n", 3), *stop = gap ? gap : end;
    if (!is_blank(at, (size_t)(stop - at))) add_piece(documents, at, (size_t)(stop - at), index);
    at = stop;
    while (at < end && *at == '\n') at++;
  }
}

// A place to cut after at least `least` bytes: behind a line end, else (lines longer than four pieces) behind a space,
// else between two characters.
static size_t cut_length(const char *bytes, size_t length, size_t least) {
  if (length <= least + least / 2) return length;
  size_t most = length < 4 * least ? length : 4 * least;
  const char *line = memchr(bytes + least, '\n', most - least);
  if (line) return (size_t)(line - bytes) + 1;
  if (most == length) return length;
  const char *space = memchr(bytes + least, ' ', most - least);
  if (space) return (size_t)(space - bytes) + 1;
  size_t cut = least;
  while (cut < length && ((unsigned char)bytes[cut] & 0xC0) == 0x80) cut++;  // not inside a UTF-8 character
  return cut;
}

static void cut_pieces(struct documents *documents, double validation_fraction) {
  struct document_piece *whole = documents->items;
  double wanted = fmax(LEAST_PIECES, PIECES_WANTED / validation_fraction);
  size_t count = documents->count, piece = (size_t)((double)documents->bytes / wanted);
  documents->cut = true;
  documents->whole = count;
  if (piece < SMALLEST_PIECE) piece = SMALLEST_PIECE;
  if (piece > LARGEST_PIECE) piece = LARGEST_PIECE;
  documents->items = NULL;
  documents->count = documents->capacity = 0;
  documents->bytes = 0;
  for (size_t i = 0; i < count; i++) {
    for (size_t at = 0; at < whole[i].length;) {
      size_t length = cut_length(whole[i].bytes + at, whole[i].length - at, piece);
      add_piece(documents, whole[i].bytes + at, length, whole[i].file);
      at += length;
    }
  }
  free(whole);
}

bool documents_of_files(struct documents *documents, char *const *paths, size_t count, double validation_fraction,
                        struct error *error) {
  for (size_t i = 0; i < count; i++)
    if (!map_file(documents, paths[i], error)) return false;
  if (count == 1) {
    documents->rule = "parts of the file between two empty lines";
    add_parts(documents, &documents->files[0], 0);
  } else {
    documents->rule = "files";
    for (size_t i = 0; i < count; i++) add_piece(documents, documents->files[i].bytes, documents->files[i].size, i);
  }
  if (documents->count == 0)
    return error_set(error, EXIT_USAGE_ERROR, "corpus.files: %s",
                     count == 1 ? "the file is empty" : "all files are empty") ||
           error_about(error, "corpus.files", NULL);
  bool few = documents->count < FEW_DOCUMENTS;
  if (few || (double)documents->count * validation_fraction < FEW_HELD_BACK) {
    documents->rule = few ? "pieces cut at line ends (there are fewer than 20 documents)"
                          : "pieces cut at line ends (of whole documents, fewer than 5 would be for validation)";
    cut_pieces(documents, validation_fraction);
  }
  return true;
}

bool documents_of_source(struct documents *documents, const char *text_path, const char *bounds_path,
                         struct error *error) {
  if (!map_file(documents, text_path, error) || !map_file(documents, bounds_path, error)) return false;
  const struct mapped_file *text = &documents->files[0], *bounds = &documents->files[1];
  documents->rule = "the source's own";
  uint64_t start = 0;
  for (size_t i = 0; i < bounds->size / 8; i++) {
    uint64_t end;
    memcpy(&end, bounds->bytes + 8 * i, 8);
    if (end < start || end > text->size)
      return error_set(error, EXIT_ENVIRONMENT,
                       "%s does not fit its text: remove its folder and run isoloss data prepare", bounds_path);
    add_piece(documents, text->bytes + start, end - start, 0);
    start = end;
  }
  if (documents->count == 0 || start != text->size)
    return error_set(error, EXIT_ENVIRONMENT,
                     "%s does not cover its text: remove its folder and run isoloss data prepare", bounds_path);
  return true;
}

// The data of a .npy file (NumPy's format 1 to 3): *offset, after checking that it holds one axis of the right type.
static bool npy_data(const struct mapped_file *file, int width, size_t *offset, struct error *error) {
  *offset = 0;
  if (file->size < 12 || memcmp(file->bytes, "\x93NUMPY", 6) != 0)
    return !ends_with(file->path, ".npy") ||
           error_set(error, EXIT_USAGE_ERROR,
                     "%s: it has no .npy header: the file is cut off or damaged (bare tokens have another ending)",
                     file->path);
  bool old = file->bytes[6] == 1;
  if (file->bytes[6] < 1 || file->bytes[6] > 3)
    return error_set(error, EXIT_USAGE_ERROR, "%s: version %d of the .npy format is not known: 1 to 3 are", file->path,
                     (unsigned char)file->bytes[6]);
  uint32_t length = 0;
  memcpy(&length, file->bytes + 8, old ? 2 : 4);
  size_t start = old ? 10 : 12;
  if (length > file->size - start)
    return error_set(error, EXIT_USAGE_ERROR, "%s: its .npy header is cut off", file->path);
  struct text header = {0};
  text_append(&header, file->bytes + start, length);
  const char *shape = strstr(text_string(&header), "'shape': (");
  const char *comma = shape ? strchr(shape, ',') : NULL;
  bool type = strstr(text_string(&header), width == 2 ? "'<u2'" : "'<u4'") != NULL;
  bool fine = type && comma && comma[1] == ')';
  long long promised = -1;
  if (fine) sscanf(shape, "'shape': (%lld,", &promised);
  text_free(&header);
  *offset = start + length;
  long long there = (long long)((file->size - *offset) / (size_t)width);
  if (fine && (file->size - *offset) % (size_t)width)
    return error_set(error, EXIT_USAGE_ERROR,
                     "%s: %zu bytes follow its .npy header, no whole number of uint%d: the file is damaged", file->path,
                     file->size - *offset, 8 * width);
  if (fine && promised != there)
    return error_set(error, EXIT_USAGE_ERROR,
                     "%s: its .npy header says %lld numbers, and %lld follow it: the file is cut off or damaged",
                     file->path, promised, there);
  return fine || error_set(error, EXIT_USAGE_ERROR, "%s: the .npy array must be of %s with one axis", file->path,
                           width == 2 ? "uint16" : "uint32");
}

bool documents_of_tokens(struct documents *documents, char *const *paths, size_t count, int width, bool *has_mask,
                         struct error *error) {
  documents->rule = "blocks of 16384 tokens";
  *has_mask = false;
  for (size_t i = 0; i < count; i++) {
    size_t offset, index = documents->file_count;
    if (!map_file(documents, paths[i], error) || !npy_data(&documents->files[index], width, &offset, error))
      return false;
    struct mapped_file file = documents->files[index];
    size_t tokens = (file.size - offset) / (size_t)width;
    if ((file.size - offset) % (size_t)width)
      return error_set(error, EXIT_USAGE_ERROR, "%s: %zu bytes are not a whole number of uint%d tokens", file.path,
                       file.size - offset, 8 * width);
    const char *mask_path = arena_format(&documents->arena, "%s.mask", paths[i]);
    const uint8_t *mask = NULL;
    if (file_exists(mask_path)) {
      if (!map_file(documents, mask_path, error)) return false;
      const struct mapped_file *mapped = &documents->files[documents->file_count - 1];
      if (mapped->size != tokens)
        return error_set(error, EXIT_USAGE_ERROR, "%s has %zu bytes, its tokens are %zu: a mask has a byte a token",
                         mask_path, mapped->size, tokens);
      for (size_t j = 0; j < tokens; j++)
        if ((uint8_t)mapped->bytes[j] > 1)
          return error_set(error, EXIT_USAGE_ERROR, "%s: byte %zu is %d; a mask holds 0 and 1 only", mask_path, j,
                           (uint8_t)mapped->bytes[j]);
      mask = (const uint8_t *)mapped->bytes;
      *has_mask = true;
    }
    for (size_t at = 0; at < tokens; at += BLOCK_TOKENS) {
      size_t block = tokens - at < BLOCK_TOKENS ? tokens - at : BLOCK_TOKENS;
      add_piece(documents, file.bytes + offset + at * (size_t)width, block * (size_t)width, index);
      documents->items[documents->count - 1].mask = mask ? mask + at : NULL;
    }
  }
  return documents->count > 0 || error_set(error, EXIT_USAGE_ERROR, "corpus.files: there are no tokens in the files") ||
         error_about(error, "corpus.files", NULL);
}

struct ordered {
  struct document_piece piece;
  size_t index;
  bool training;
};

static int compare(const void *left, const void *right) {
  const struct ordered *a = left, *b = right;
  if (a->training != b->training) return a->training ? 1 : -1;
  if (a->piece.order_hash != b->piece.order_hash) return a->piece.order_hash < b->piece.order_hash ? -1 : 1;
  return a->index < b->index ? -1 : a->index > b->index;
}

static int by_split_hash(const void *left, const void *right) {
  const struct ordered *a = left, *b = right;
  if (a->piece.split_hash != b->piece.split_hash) return a->piece.split_hash < b->piece.split_hash ? -1 : 1;
  return a->index < b->index ? -1 : a->index > b->index;
}

// Takes at least `least` documents for validation, those of the smallest hashes; copies stay together where one is left
// to train on. Returns how many it took.
static size_t hold_back(struct ordered *all, size_t count, size_t least) {
  qsort(all, count, sizeof *all, by_split_hash);
  size_t taken = least;
  while (taken < count - 1 && all[taken].piece.split_hash == all[taken - 1].piece.split_hash) taken++;
  for (size_t i = 0; i < count; i++) all[i].training = i >= taken;
  return taken;
}

bool documents_split(struct documents *documents, double validation_fraction, struct error *error) {
  size_t count = documents->count, largest = 0, validation = 0;
  if (count < 2)
    return error_set(
        error, EXIT_USAGE_ERROR,
        "the files hold too little (%llu bytes in one document): training and validation need a document each",
        (unsigned long long)documents->bytes);
  struct ordered *all = memory_get(count * sizeof *all);
  double threshold = validation_fraction * 0x1p64;
  for (size_t i = 0; i < count; i++) {
    struct document_piece *piece = &documents->items[i];
    piece->split_hash = hash64(piece->bytes, piece->length, 1);
    piece->order_hash = hash64(piece->bytes, piece->length, 2);
    all[i] = (struct ordered){.piece = *piece, .index = i, .training = (double)piece->split_hash >= threshold};
    validation += !all[i].training;
    if (piece->split_hash > all[largest].piece.split_hash) largest = i;
  }
  // A small corpus may have nothing on one side: the document next to the threshold goes over. Of pieces, chance may
  // not leave fewer than the share says, nor a single one.
  size_t least = 1;
  if (documents->cut && count > 3) least = (size_t)fmax(2, round(validation_fraction * (double)count));
  if (validation < least) {
    validation = hold_back(all, count, least);
  } else if (validation == count) {
    all[largest].training = true;
    validation--;
  }
  qsort(all, count, sizeof *all, compare);
  for (size_t i = 0; i < count; i++) documents->items[i] = all[i].piece;
  documents->validation_count = validation;
  free(all);
  return true;
}

void documents_free(struct documents *documents) {
  for (size_t i = 0; i < documents->file_count; i++)
    if (documents->files[i].bytes) munmap((void *)documents->files[i].bytes, documents->files[i].size);
  free(documents->files);
  free(documents->items);
  arena_free(&documents->arena);
  *documents = (struct documents){0};
}
