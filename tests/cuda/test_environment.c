// The CUDA backend where there may be no GPU: opening says in one line what is missing, and `auto` goes to the CPU.
#include "tests/check.h"
#include "trainer/trainer.h"

static void missing_device(void) {
  struct error error = {0};
  const struct ops *ops = ops_find("cuda", &error);
  if (!CHECK(ops != NULL)) return;
  struct device *device = ops->open(&(struct device_options){.number = 1000}, &error);
  CHECK(device == NULL);
  CHECK(error.code == EXIT_ENVIRONMENT);
  CHECK(strstr(error.text, "CUDA device") != NULL && strchr(error.text, '\n') == NULL);
  printf("# %s\n", error.text);
}

static void by_name(void) {
  struct error error = {0};
  const struct ops *ops;
  struct device *device;
  CHECK(!trainer_device_open("cuda:1000", 1, &ops, &device, &error));
  CHECK(error.code == EXIT_ENVIRONMENT && starts_with(error.text, "model.device 'cuda:1000': "));
  error = (struct error){0};
  if (!CHECK(trainer_device_open("auto", 1, &ops, &device, &error))) return;
  printf("# auto is %s here\n", ops->name);
  ops->close(device);
}

int main(void) {
  RUN(missing_device);
  RUN(by_name);
  return check_end();
}
