// The stage hogwild: several workers write text over one shared cache of keys and values (trainer/cache/shared.h), next
// to ordinary decoding. What is told is time, and whether it is the same computation; what the workers write is not
// judged. See stage.h for what each function is.
#pragma once
#include "trainer/stages/stage.h"

#define HOGWILD_STAGE "hogwild"
extern const char *const hogwild_stage_needs[];
bool hogwild_stage_skips(const struct run_config *config);
bool hogwild_stage_resolve(struct run_config *config, const struct corpus_facts *facts, struct arena *arena,
                           struct error *error);
double hogwild_stage_forward_tokens(const struct run_config *config, const struct corpus_facts *facts);
bool hogwild_stage_work(struct stage_work *work, struct error *error);
