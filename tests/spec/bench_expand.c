// How long a million runs take: plain, and with a filter and a derived field. Prints seconds (on the clock, and of the
// processor), and peak memory.
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "runner/plan/plan.h"

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int measure(const char *name, const char *rest) {
  struct text text = {0};
  struct spec spec = {0};
  struct plan plan = {0};
  struct diagnostics diagnostics = {0};
  struct error error = {0};
  text_format(&text,
              "corpus: {source: markov2}\nbase: {model: {context: 16}, train: {batch_tokens: 256}}\nsweep:\n  grid:\n"
              "    model.width: {range: [16, 1600, 16]}\n    model.layers: {range: [1, 20]}\n"
              "    train.lr: {log: [1e-3, 1e-1, 10]}\n    train.steps: {range: [1, 50]}\n%s",
              rest);
  double start = seconds_now();
  clock_t clock_start = clock();
  bool fine = spec_parse(&spec, "bench.yaml", text_string(&text), text.length, NULL, &diagnostics, &error) &&
              plan_make(&plan, &spec, &(struct plan_options){.dtype = "float32"}, &diagnostics, &error);
  double took = seconds_now() - start, worked = (double)(clock() - clock_start) / CLOCKS_PER_SEC;
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  if (fine)
    printf("%-24s %zu runs in %.2f s (%.2f s of work), peak %ld MiB\n", name, plan.count, took, worked,
           usage.ru_maxrss >> 10);
  else
    printf("%s: %s\n", name, error.text);
  plan_free(&plan);
  spec_free(&spec);
  diagnostics_free(&diagnostics);
  text_free(&text);
  return fine ? 0 : 1;
}

int main(void) {
  return measure("grid", "") | measure("grid, where and set",
                                       "  where: \"parameters > 10\"\n"
                                       "  set: {train.lr: \"train.lr * (parameters / 1e5) ^ -0.5\"}\n");
}
