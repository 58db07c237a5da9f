// make-run FOLDER path=value ...: makes a run's folder for isoloss-train without the runner.
#include <stdio.h>

#include "tests/trainer/make_run.h"

int main(int argc, char **argv) {
  struct error error = {0};
  if (argc < 2) {
    fputs("usage: make-run FOLDER path=value ...\n", stderr);
    return EXIT_USAGE_ERROR;
  }
  if (make_run(argv[1], argc - 2, argv + 2, &error)) return EXIT_DONE;
  fprintf(stderr, "make-run: %s\n", error.text);
  return (int)error.code;
}
