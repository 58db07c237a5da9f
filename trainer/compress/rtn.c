// Round to nearest: each weight for itself, as the format's own pass does while a model trains.
#include <string.h>

#include "trainer/compress/internal.h"
#include "trainer/compress/methods.h"

static bool check(const struct compress_settings *settings, struct error *error) {
  // A searched scale has to stand before anything is rounded.
  return strcmp(settings->clip, "mse") != 0 || check_one_by_one(settings, error);
}

static bool run(struct compress_call *call, struct error *error) {
  const struct representation *representation = weights_representation(call->settings);
  struct gridded gridded;
  if (strcmp(call->settings->clip, "mse") != 0)
    return represent_matrix(call, representation, call->result->represented, error);
  return gridded_make(&gridded, call, representation, error) && sweep_call(call, &gridded, SWEEP_PLAIN, NULL, error);
}

static const char *const fields[] = {"format", "bits", "group", "clip", NULL};
const struct compress_method method_rtn = {
    .name = "rtn",
    .help = "round to nearest: each weight for itself, as while training",
    .source = "",
    .fields = fields,
    .check = check,
    .run = run,
};
