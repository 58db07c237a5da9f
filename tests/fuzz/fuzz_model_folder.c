// Fuzz target: any text as config.json of a folder with a model, and as the index of its shards. There are no weights,
// so that each is refused, with a reason.
#include "tests/fuzz/fuzz.h"
#include "trainer/model_folder.h"

static const char plain[] =
    "{\"architectures\":[\"LlamaForCausalLM\"],\"vocab_size\":16,\"hidden_size\":32,\"intermediate_size\":48,"
    "\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_key_value_heads\":2}";

static void put(const char *folder, const char *name, const void *bytes, size_t length) {
  struct arena arena = {0};
  struct error error = {0};
  if (!file_write_atomic(path_join(&arena, folder, name), bytes, length, &error)) abort();
  arena_free(&arena);
}

static void look(const char *folder) {
  struct arena arena = {0};
  struct error error = {0};
  struct model_folder model;
  if (model_folder_read(folder, &arena, &model, &error)) abort();
  if (error.code == EXIT_DONE || !*error.text) abort();
  arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static char described[] = "/tmp/isoloss-fuzz-config-XXXXXX", indexed[] = "/tmp/isoloss-fuzz-index-XXXXXX";
  struct error ignored = {0};
  char one[sizeof described], two[sizeof indexed];
  memcpy(one, described, sizeof one);
  memcpy(two, indexed, sizeof two);
  if (!mkdtemp(one) || !mkdtemp(two)) abort();
  put(one, "config.json", bytes, length);
  look(one);
  put(two, "config.json", plain, sizeof plain - 1);
  put(two, "model.safetensors.index.json", bytes, length);
  look(two);
  if (!folder_remove(one, &ignored) || !folder_remove(two, &ignored)) abort();
  return 0;
}
