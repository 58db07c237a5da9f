// See sensitivity_kept.h.
#include "trainer/stages/sensitivity_kept.h"

#include <inttypes.h>

#include "trainer/stages/kept.h"

// Everything that the numbers depend on: the parent's model, the tokens, the noise and where it goes.
static struct digest key_of(struct stage_work *work, const struct model_values *values,
                            const struct sensitivity_request *r) {
  struct text text = {0};
  text_format(&text, "sensitivities %d\n", config_version(&work->run.file.config));
  kept_key_of_model(work, values, &text);
  text_format(&text, "%s %" PRId64 " %.17g %" PRId64 " %" PRIu64 "\n", r->alpha, r->noises, r->largest_noise, r->tokens,
              r->seed);
  for (int64_t i = 0; i < r->count; i++)
    text_format(&text, "%" PRId64 " %" PRId64 " %" PRIu64 "\n", r->ranges[i].offset, r->ranges[i].count,
                r->ranges[i].number);
  struct digest key = digest_bytes(text.bytes, text.length);
  text_free(&text);
  return key;
}

struct measuring {
  struct stage_work *work;
  const struct model_values *values;
  const struct sensitivity_request *request;
  struct sensitivity *out;
};

static bool measure(void *context, struct error *error) {
  struct measuring *m = context;
  return measure_sensitivities(m->work, m->values, m->request, m->out, error);
}

bool kept_sensitivities(struct stage_work *work, const struct model_values *values,
                        const struct sensitivity_request *request, struct sensitivity *out, struct error *error) {
  struct measuring measuring = {work, values, request, out};
  const struct kept_numbers kept = {.folder = "sensitivities",
                                    .magic = {'i', 's', 'o', 's', 'e', 'n', 's', '1'},
                                    .key = key_of(work, values, request),
                                    .bytes = out,
                                    .size = (size_t)request->count * sizeof *out,
                                    .count = (uint64_t)request->count,
                                    .make = measure,
                                    .context = &measuring};
  return kept_get(work, &kept, error);
}
