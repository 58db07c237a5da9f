// make-run FOLDER path=value ...: makes a run's folder for isoloss-train without the runner.
// make-run --validation CONFIG.json WINDOWS: prints the run's first validation windows as JSON.
// make-run --batches CONFIG.json STEPS: prints the batches of its first steps, one after the other.
#include <stdio.h>
#include <string.h>

#include "tests/trainer/make_run.h"
#include "trainer/evaluation.h"

static void put_rows(struct json_writer *json, const char *name, int64_t windows, int64_t context,
                     const int32_t *values, const uint8_t *bits) {
  json_key(json, name);
  json_array_begin(json);
  for (int64_t i = 0; i < windows * context; i++) {
    if (i % context == 0) json_array_begin(json);
    json_put_integer(json, values ? values[i] : bits[i]);
    if (i % context == context - 1) json_array_end(json);
  }
  json_array_end(json);
}

// `steps` above 0: the batches of so many steps; else validation windows.
static bool print_windows(const char *path, int64_t windows, int64_t steps, struct error *error) {
  struct arena arena = {0};
  struct run_file file;
  struct text text = {0};
  struct corpus *corpus = NULL;
  bool fine = run_file_read(&arena, path, &file, error);
  if (fine) corpus = corpus_open(file.corpus_path, file.corpus_digest, &file.config, error);
  if (corpus) {
    int64_t context = file.config.model.context, rows = file.config.train.batch_tokens / context;
    if (steps > 0) windows = rows * steps;
    struct batch_memory batch = batch_memory(windows * context);
    if (steps == 0)
      fine = corpus_validation(corpus, 0, windows, context, batch.tokens, batch.targets, batch.mask, error);
    for (int64_t step = 0, at = 0; step < steps && fine; step++, at += rows * context) {
      struct corpus_batch request = {
          .seed = (uint64_t)file.config.seed, .step = step, .batch_rows = rows, .rows = rows, .context = context};
      fine = corpus_batch(corpus, &request, batch.tokens + at, batch.targets + at, batch.mask + at, error);
    }
    struct json_writer json = json_writer(&text, false);
    json_object_begin(&json);
    put_rows(&json, "tokens", windows, context, batch.tokens, NULL);
    put_rows(&json, "targets", windows, context, batch.targets, NULL);
    put_rows(&json, "mask", windows, context, NULL, batch.mask);
    json_object_end(&json);
    if (fine) puts(text_string(&text));
    batch_free(&batch);
  }
  corpus_close(corpus);
  text_free(&text);
  arena_free(&arena);
  return fine && corpus;
}

int main(int argc, char **argv) {
  struct error error = {0};
  int64_t count;
  bool validation = argc == 4 && strcmp(argv[1], "--validation") == 0 && integer_parse(argv[3], &count);
  bool batches = argc == 4 && strcmp(argv[1], "--batches") == 0 && integer_parse(argv[3], &count) && count > 0;
  if (argc < 2) {
    fputs(
        "usage: make-run FOLDER path=value ... | make-run --validation CONFIG.json WINDOWS | make-run --batches "
        "CONFIG.json STEPS\n",
        stderr);
    return EXIT_USAGE_ERROR;
  }
  if (validation || batches ? print_windows(argv[2], validation ? count : 0, batches ? count : 0, &error)
                            : make_run(argv[1], argc - 2, argv + 2, &error))
    return EXIT_DONE;
  fprintf(stderr, "make-run: %s\n", error.text);
  return (int)error.code;
}
