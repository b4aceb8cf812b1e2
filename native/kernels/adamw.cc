#include <cmath>

#include "kernels.h"
#include "simd.h"

namespace kernels {

VERSIONS void adamw(float* parameter, const float* gradient, float* moment, float* variance, int64_t count, const AdamW& h) {
  const float decay = 1 - h.learningRate * h.weightDecay;
  const float stepSize = h.learningRate / h.biasCorrection1;
  const float rootCorrection2 = std::sqrt(h.biasCorrection2);
  const float beta1 = h.beta1, beta2 = h.beta2, newShare1 = h.newShare1, newShare2 = h.newShare2;
  const float epsilon = h.epsilon, scale = h.gradientScale;
  for (int64_t i = 0; i < count; i++) {
    const float g = gradient[i] * scale;
    const float m = beta1 * moment[i] + newShare1 * g;
    const float v = beta2 * variance[i] + newShare2 * g * g;
    moment[i] = m;
    variance[i] = v;
    parameter[i] = parameter[i] * decay - stepSize * m / (std::sqrt(v) / rootCorrection2 + epsilon);
  }
}

}  // namespace kernels
