// One program that is carried to a machine with a GPU: the trainer, the backend's tests and its timings, so that the
// kernels come along once. packaging/gpu/check.sh calls it.
//   isoloss-gpu-check train ...        as isoloss-train
//   isoloss-gpu-check make-run ...     as tests/trainer/make_run_main.c
//   isoloss-gpu-check test NAME        one of the backend's tests, as TAP
//   isoloss-gpu-check bench DEVICE ... as bench.c
#include "packaging/gpu/check.h"

#include <stdio.h>
#include <string.h>

// The main functions of other programs, renamed where they are compiled.
int isoloss_train_main(int argc, char **argv);
int make_run_main(int argc, char **argv);
int test_cases_main(void);
int test_device_main(void);
int test_first_contact_main(void);
int test_formats_main(void);
int test_graphs_main(void);
int test_native_main(void);
int test_training_main(void);

static const struct {
  const char *name;
  int (*run)(void);
} tests[] = {{"first-contact", test_first_contact_main},
             {"cases", test_cases_main},
             {"device", test_device_main},
             {"graphs", test_graphs_main},
             {"training", test_training_main},
             {"formats", test_formats_main},
             {"native", test_native_main}};
enum { TESTS = sizeof tests / sizeof *tests };

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "train") == 0) return isoloss_train_main(argc - 1, argv + 1);
  if (strcmp(what, "make-run") == 0) return make_run_main(argc - 1, argv + 1);
  if (strcmp(what, "bench") == 0) return gpu_bench(argc - 1, argv + 1);
  for (int i = 0; i < TESTS && strcmp(what, "test") == 0 && argc == 3; i++)
    if (strcmp(argv[2], tests[i].name) == 0) return tests[i].run();
  fprintf(stderr, "usage: isoloss-gpu-check train|make-run|bench ..., or test NAME:");
  for (int i = 0; i < TESTS; i++) fprintf(stderr, " %s", tests[i].name);
  fprintf(stderr, "\n");
  return EXIT_USAGE_ERROR;
}
