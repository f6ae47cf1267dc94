// Sine and cosine of large angles, without the table and the local memory that the mathematical
// library takes for them: an angle of a million turns costs what a small one does.
#pragma once

#include "runtime/backends/cuda/cuda.h"

namespace dcc::cuda {

// Of any f32 up to 2^31, to 2^-23 absolute.
__device__ inline void sineAndCosine(float angle, float& sine, float& cosine) {
  // angle = n * pi / 2 + r with |r| <= pi / 4. Pi / 2 as the sum of two doubles: products with n
  // are exact enough whatever n is.
  constexpr double kHalfPi = 0x1.921fb54442d18p+0, kRest = 0x1.1a62633145c07p-54;
  constexpr double kPerHalfPi = 0x1.45f306dc9c883p-1;
  const double n = rint(static_cast<double>(angle) * kPerHalfPi);
  const auto r = static_cast<float>(fma(-n, kRest, fma(-n, kHalfPi, static_cast<double>(angle))));
  const auto quadrant = static_cast<uint32_t>(static_cast<int64_t>(n));
  // Polynomials by Remez' exchange: relative error 2^-28 and absolute error 2^-33.
  const float z = r * r;
  const float p = fmaf(fmaf(-0.00019516973f, z, 0.008332176f), z, -0.16666655f);
  const float q = fmaf(fmaf(2.4438088e-05f, z, -0.0013887364f), z, 0.041666646f);
  const float s = fmaf(r * z, p, r);
  const float c = fmaf(z * z, q, fmaf(-0.5f, z, 1));
  const bool swapped = (quadrant & 1) != 0;
  sine = swapped ? c : s;
  cosine = swapped ? s : c;
  if ((quadrant & 2) != 0) sine = -sine;
  if (((quadrant + 1) & 2) != 0) cosine = -cosine;
}

}  // namespace dcc::cuda
