// kernels/cuda's sources on the emulated device (compiled with ISOLOSS_EMULATED).
#include "kernels/cuda/cuda.cu"
