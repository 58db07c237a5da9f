// See manifest.h.
#include "trainer/data/manifest.h"

#include <math.h>
#include <time.h>

static void write_split(struct json_writer *json, const char *name, const struct token_file_header *header,
                        bool has_bytes) {
  json_key(json, name);
  json_object_begin(json);
  json_key_integer(json, "tokens", (int64_t)header->tokens);
  json_key_integer(json, "targets", (int64_t)header->targets);
  json_key_integer(json, "documents", (int64_t)header->documents);
  json_key_integer(json, "bytes", (int64_t)header->text_bytes);
  json_key_number(json, "bytes_per_token", has_bytes ? header->bytes_per_token : (double)NAN);
  json_key_string(json, "digest", header->content_digest);
  json_object_end(json);
}

void manifest_write(const struct manifest *manifest, struct text *out) {
  const struct tokenizer *tokenizer = manifest->tokenizer;
  struct json_writer json = json_writer(out, true);
  char when[32];
  time_t now = time(NULL);
  struct tm utc;
  strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
  json_object_begin(&json);
  json_key_integer(&json, "isoloss_corpus", TOKEN_FILE_VERSION);
  json_key_string(&json, "digest", manifest->digest);
  json_key_string(&json, "source", manifest->request->name);
  json_key_string(&json, "prepared", when);
  json_key(&json, "tokenizer");
  json_object_begin(&json);
  json_key_string(&json, "name", tokenizer->name);
  json_key_integer(&json, "vocabulary", tokenizer->vocabulary);
  json_key(&json, "end_token");
  if (tokenizer->end_token == TOKEN_FILE_NO_END)
    json_put_null(&json);
  else
    json_put_integer(&json, (int64_t)tokenizer->end_token);
  json_key_string(&json, "digest", tokenizer->digest);
  if (manifest->request->model_path) json_key_string(&json, "taken_from", manifest->request->model_path);
  json_object_end(&json);
  json_key_number(&json, "validation_fraction", manifest->request->validation_fraction);
  json_key_string(&json, "documents_are", manifest->documents->rule);
  if (manifest->documents->cut) json_key_integer(&json, "whole_documents", (int64_t)manifest->documents->whole);
  bool has_bytes = tokenizer->kind != TOKENIZER_NUMBERS;
  write_split(&json, "train", manifest->train, has_bytes);
  write_split(&json, "validation", manifest->validation, has_bytes);
  if (manifest->source_description) {
    json_key(&json, "made_of");
    json_put_raw(&json, manifest->source_description);
  } else {
    json_key(&json, "files");
    json_array_begin(&json);
    for (size_t i = 0; i < manifest->documents->file_count; i++) {
      const struct mapped_file *file = &manifest->documents->files[i];
      struct digest digest = digest_bytes(file->bytes ? file->bytes : "", file->size);
      json_object_begin(&json);
      json_key_string(&json, "path", file->path);
      json_key_integer(&json, "bytes", (int64_t)file->size);
      json_key_string(&json, "digest", digest.hex);
      json_object_end(&json);
    }
    json_array_end(&json);
  }
  json_object_end(&json);
  text_char(out, '\n');
}
