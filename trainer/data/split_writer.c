// See split_writer.h. Documents are encoded a batch at a time, by several threads, and written in order.
#include "trainer/data/split_writer.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH_DOCUMENTS = 256, MOST_THREADS = 16 };

struct batch {
  const struct split_job *job;
  size_t first, count;
  struct token_buffer buffers[BATCH_DOCUMENTS];
  struct error errors[BATCH_DOCUMENTS];
};

static bool file_place(const struct split_job *job, const struct document_piece *piece, size_t offset,
                       struct error *error) {
  const struct mapped_file *file = &job->documents->files[piece->file];
  return error_context(error, "%s: in the document at byte %zu", file->path,
                       (size_t)(piece->bytes - file->bytes) + offset);
}

// Tokens as they are in the file, checked against the vocabulary.
static bool copy_numbers(const struct split_job *job, const struct document_piece *piece, struct token_buffer *buffer,
                         struct error *error) {
  size_t count = piece->length / (size_t)job->width;
  for (size_t i = 0; i < count; i++) {
    uint32_t token = 0;
    memcpy(&token, piece->bytes + i * (size_t)job->width, (size_t)job->width);  // little-endian
    if (token >= job->tokenizer->vocabulary) {
      const struct mapped_file *file = &job->documents->files[piece->file];
      return error_set(error, EXIT_USAGE_ERROR, "%s: the token at byte %zu is %u, outside corpus.vocabulary %lld",
                       file->path, (size_t)(piece->bytes - file->bytes) + i * (size_t)job->width, token,
                       (long long)job->tokenizer->vocabulary) ||
             error_about(error, "corpus.vocabulary", NULL);
    }
    token_buffer_add(buffer, token, 0);
  }
  return true;
}

static bool encode(const struct split_job *job, const struct document_piece *piece, struct token_buffer *buffer,
                   struct error *error) {
  buffer->count = 0;
  if (job->tokenizer->kind == TOKENIZER_NUMBERS) return copy_numbers(job, piece, buffer, error);
  if (job->tokenizer->kind == TOKENIZER_SENTENCEPIECE) {
    size_t valid = utf8_valid_prefix(piece->bytes, piece->length);
    const struct mapped_file *file = &job->documents->files[piece->file];
    if (valid < piece->length)
      return error_set(
                 error, EXIT_USAGE_ERROR,
                 "%s: byte %zu is not UTF-8, which sentencepiece needs: convert the file, or use corpus.tokenizer: "
                 "bytes",
                 file->path, (size_t)(piece->bytes - file->bytes) + valid) ||
             error_about(error, "corpus.tokenizer", NULL);
  }
  return tokenizer_encode(job->tokenizer, piece->bytes, piece->length, buffer, error) ||
         file_place(job, piece, 0, error);
}

static void encode_one(void *context, size_t i, int thread) {
  struct batch *batch = context;
  batch->errors[i] = (struct error){0};
  encode(batch->job, &batch->job->documents->items[batch->first + i], &batch->buffers[i], &batch->errors[i]);
}

// Encodes the batch. Of several errors the first document's is reported.
static bool encode_batch(struct batch *batch, int threads, struct error *error) {
  threads_each(batch->count, threads, encode_one, batch);
  for (size_t i = 0; i < batch->count; i++)
    if (batch->errors[i].code) {
      *error = batch->errors[i];
      return false;
    }
  return true;
}

static bool write_batches(const struct split_job *job, struct batch *batch, struct token_writer *writer,
                          struct error *error) {
  int threads = job->tokenizer->kind == TOKENIZER_SENTENCEPIECE ? threads_wanted(0) : 1;
  if (threads > MOST_THREADS) threads = MOST_THREADS;
  for (batch->first = job->first; batch->first < job->first + job->count; batch->first += batch->count) {
    size_t left = job->first + job->count - batch->first;
    batch->count = left < BATCH_DOCUMENTS ? left : BATCH_DOCUMENTS;
    if (job->progress) job->progress(job->context, job->what, 1 - (double)left / (double)job->count);
    if (!encode_batch(batch, threads, error)) return false;
    for (size_t i = 0; i < batch->count; i++) {
      const struct document_piece *piece = &job->documents->items[batch->first + i];
      const struct token_buffer *buffer = &batch->buffers[i];
      uint8_t *ones = NULL;
      const uint8_t *mask = piece->mask;
      // Some of the files have masks: in the others every token counts.
      if (job->has_mask && !mask) mask = memset(ones = memory_get(buffer->count + 1), 1, buffer->count);
      bool fine = token_writer_add(writer, buffer->tokens, buffer->count, buffer->lengths, mask,
                                   job->tokenizer->kind == TOKENIZER_NUMBERS ? 0 : piece->length, error);
      free(ones);
      if (!fine) return false;
    }
  }
  return true;
}

bool split_write(const struct split_job *job, const char *path, struct token_file_header *header, struct error *error) {
  struct token_file_header wanted = {.width = (uint32_t)job->width,
                                     .has_lengths = job->lengths,
                                     .has_mask = job->has_mask,
                                     .vocabulary = (uint64_t)job->tokenizer->vocabulary,
                                     .end_token = job->tokenizer->end_token};
  snprintf(wanted.tokenizer, sizeof wanted.tokenizer, "%s", job->tokenizer->name);
  snprintf(wanted.tokenizer_digest, sizeof wanted.tokenizer_digest, "%s", job->tokenizer->digest);
  struct token_writer *writer = token_writer_new(path, &wanted, error);
  if (!writer) return false;
  struct batch *batch = memory_get(sizeof *batch);
  batch->job = job;
  bool fine = write_batches(job, batch, writer, error);
  for (size_t i = 0; i < BATCH_DOCUMENTS; i++) token_buffer_free(&batch->buffers[i]);
  free(batch);
  if (fine) return token_writer_end(writer, header, error);
  token_writer_drop(writer);
  return false;
}
