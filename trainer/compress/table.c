// The methods and what each reads of the settings. See compress.h.
#include <stdio.h>
#include <string.h>

#include "trainer/compress/internal.h"
#include "trainer/compress/methods.h"

#define SETTING(member) \
  { #member, offsetof(struct compress_settings, member) }

// In the order of run_fields.
const struct compress_setting compress_settings_table[] = {
    SETTING(format),     SETTING(bits),     SETTING(group),    SETTING(damping),
    SETTING(order),      SETTING(clip),     SETTING(range),    SETTING(p),
    SETTING(n),          SETTING(pattern),  SETTING(sparsity), SETTING(steps),
    SETTING(lr),         SETTING(interval), SETTING(lambda),   SETTING(lambda_schedule),
    SETTING(projection), SETTING(penalty),  SETTING(memory)};
const size_t compress_setting_count = sizeof compress_settings_table / sizeof compress_settings_table[0];

const struct run_field *compress_setting_field(const struct compress_setting *setting) {
  char path[64];
  snprintf(path, sizeof path, "compress.%s", setting->name);
  return field_find(path, NULL);
}

const struct compress_method *const compress_methods[] = {
    &method_rtn, &method_gptq, &method_babai, &method_higgs, &method_magnitude, &method_sparsegpt, &method_elsa, NULL};

const struct compress_method *compress_method_find(const char *name, const char **nearest) {
  const char *names[32];
  size_t count = 0;
  if (nearest) *nearest = NULL;
  for (; compress_methods[count]; count++) {
    if (strcmp(compress_methods[count]->name, name) == 0) return compress_methods[count];
    names[count] = compress_methods[count]->name;
  }
  if (nearest) *nearest = nearest_name(name, names, count);
  return NULL;
}

bool compress_method_reads(const struct compress_method *method, const char *field) {
  for (const char *const *name = method->fields; *name; name++)
    if (strcmp(*name, field) == 0) return true;
  return false;
}

const struct compress_setting *compress_setting_find(const struct compress_method *method, const char *name,
                                                     const char **nearest) {
  const char *names[32];
  size_t count = 0;
  if (nearest) *nearest = NULL;
  for (size_t i = 0; i < compress_setting_count; i++) {
    const struct compress_setting *setting = &compress_settings_table[i];
    if (!compress_method_reads(method, setting->name)) continue;
    if (strcmp(setting->name, name) == 0) return setting;
    names[count++] = setting->name;
  }
  if (nearest) *nearest = nearest_name(name, names, count);
  return NULL;
}
