// The table of operations on the tested device: the emulated one, or a GPU.
#include "tests/kernels/case_check.h"

#ifndef TEST_BACKEND
#define TEST_BACKEND "cuda-emulated"
#endif

static const struct ops *ops;
static struct device *device;
static int checked_cases;

static bool emulated(void) { return strcmp(TEST_BACKEND, "cuda-emulated") == 0; }

static void on_the_device(struct checked_case *checked) {
  if (!case_supported(&checked->c, ops, device) || (checked->c.shape->slow && emulated())) return;
  checked_cases++;
  if (checked_case_run(checked, ops, device, TEST_BACKEND) != (COMPARED | DIFFERENTIATED)) check_failures++;
}

int main(void) {
  struct error error = {0};
  setenv("ISOLOSS_TRIALS", "off", 1);  // the user's cache is not a test's
  ops = ops_find(TEST_BACKEND, &error);
  device = ops ? ops->open(&(struct device_options){.threads = 1}, &error) : NULL;
  if (!device) {
    printf("Bail out! %s\n", error.text);
    return 1;
  }
  for (size_t i = 0; i < operation_count; i++) {
    int before = checked_cases, failures = check_failures;
    each_case(operations[i], on_the_device);
    CHECK(checked_cases > before || (operations[i]->there && !operations[i]->there(ops)));
    check_cases++;
    if (check_failures != failures) check_failed_cases++;
    printf("%sok %d - %s # %d cases\n", check_failures == failures ? "" : "not ", check_cases, operations[i]->name,
           checked_cases - before);
    fflush(stdout);
  }
  ops->close(device);
  return check_end();
}
