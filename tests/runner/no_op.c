// A run that does nothing: writes that it is done. What a coordinator costs a run is measured with it.
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int main(void) {
  static const char done[] = "{\"event\":\"done\",\"step\":20,\"loss\":2}\n";
  const char *path = getenv("ISOLOSS_EVENTS");
  int file = path ? open(path, O_WRONLY | O_APPEND | O_CREAT, 0666) : -1;
  return file < 0 || write(file, done, sizeof done - 1) != sizeof done - 1;
}
