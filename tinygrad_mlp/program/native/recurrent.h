/* Recurrent layers over all time steps. REAL stands for float, then for double. A matrix product goes to BLAS if there is
   one. valid is NULL where every step counts. */

/* c (m, n), rows stride apart, = a (m, k) b; b is (k, n), or (n, k) if turned. */
static void multiply_REAL(int64_t m, int64_t n, int64_t k, const REAL* a, const REAL* b, int turned, REAL* c, int64_t stride) {
    if (gemm_REAL) {
        gemm_REAL(101, 111, turned ? 112 : 111, m, n, k, 1, a, k, b, turned ? k : n, 0, c, stride);
        return;
    }
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) c[i * stride + j] = 0;
        if (turned)
            for (int64_t j = 0; j < n; j++) {
                REAL sum = 0;
                _Pragma("omp simd reduction(+:sum)") for (int64_t l = 0; l < k; l++) sum += a[i * k + l] * b[j * k + l];
                c[i * stride + j] = sum;
            }
        else
            for (int64_t l = 0; l < k; l++)
                for (int64_t j = 0; j < n; j++) c[i * stride + j] += a[i * k + l] * b[l * n + j];
    }
}

/* y: the states before and after each step, then the last cell. Saved: gates and their slopes, cells, their tanh and its slope. */
static void lstm_REAL(const REAL* gates, const REAL* state, const REAL* cell, const REAL* weight, const uint8_t* valid,
                      REAL* y, REAL* opened, REAL* slopes, REAL* cells, REAL* bent, REAL* bows, int64_t time, int64_t batch, int64_t size) {
    int64_t all = batch * size;
    memcpy(y, state, all * sizeof(REAL));
    memcpy(cells, cell, all * sizeof(REAL));
    for (int64_t t = 0; t < time; t++) {
        multiply_REAL(batch, 4 * size, size, y + t * all, weight, 1, opened + 4 * t * all, 4 * size);
        for (int64_t n = 0; n < batch; n++) {
            int64_t at = t * all + n * size;
            const REAL* restrict in = gates + 4 * at;
            const REAL* restrict old = cells + at;
            REAL* restrict now = opened + 4 * at;
            REAL* restrict slope = slopes + 4 * at;
            REAL* restrict bow = bows + at;
            REAL* restrict new = cells + at + all;
            REAL* restrict tanhs = bent + at;
            REAL* restrict out = y + at + all;
            for (int64_t j = 0; j < size; j++) {
                REAL zi = now[j] + in[j], zf = now[size + j] + in[size + j];
                REAL zg = now[2 * size + j] + in[2 * size + j], zo = now[3 * size + j] + in[3 * size + j];
                REAL i = sigmoid_REAL(zi), f = sigmoid_REAL(zf), g = tanh(zg), o = sigmoid_REAL(zo);
                slope[j] = sigmoid_slope_REAL(zi); slope[size + j] = sigmoid_slope_REAL(zf);
                slope[2 * size + j] = tanh_slope_REAL(zg); slope[3 * size + j] = sigmoid_slope_REAL(zo);
                REAL c = f * old[j] + i * g, b = tanh(c);
                now[j] = i; now[size + j] = f; now[2 * size + j] = g; now[3 * size + j] = o;
                new[j] = c; tanhs[j] = b; bow[j] = tanh_slope_REAL(c); out[j] = o * b;
            }
            if (valid && !valid[t * batch + n]) {
                memcpy(new, old, size * sizeof(REAL));
                memcpy(out, y + at, size * sizeof(REAL));
            }
        }
    }
    memcpy(y + (time + 1) * all, cells + time * all, all * sizeof(REAL));
}

/* out: the gradients of the gates, then a row with those of state and cell; its third part holds what passes by. */
static void lstm_gradient_REAL(const REAL* z, const REAL* weight, const uint8_t* valid, const REAL* opened,
                               const REAL* slopes, const REAL* cells, const REAL* bent, const REAL* bows, REAL* out, int64_t time, int64_t batch, int64_t size) {
    int64_t all = batch * size, wide = 4 * size;
    REAL* last = out + time * batch * wide;
    for (int64_t n = 0; n < batch; n++) {
        memcpy(last + n * wide, z + time * all + n * size, size * sizeof(REAL));
        memcpy(last + n * wide + size, z + (time + 1) * all + n * size, size * sizeof(REAL));
    }
    for (int64_t t = time - 1; t >= 0; t--) {
        for (int64_t n = 0; n < batch; n++) {
            int64_t at = t * all + n * size;
            REAL* restrict s = last + n * wide;
            REAL* restrict d = out + t * batch * wide + n * wide;
            if (valid && !valid[t * batch + n]) {
                memset(d, 0, wide * sizeof(REAL));
                memcpy(s + 2 * size, s, size * sizeof(REAL));
                continue;
            }
            const REAL* restrict now = opened + 4 * at;
            const REAL* restrict old = cells + at;
            const REAL* restrict slope = slopes + 4 * at;
            const REAL* restrict tanhs = bent + at;
            const REAL* restrict bow = bows + at;
            for (int64_t j = 0; j < size; j++) {
                REAL i = now[j], f = now[size + j], g = now[2 * size + j], o = now[3 * size + j], b = tanhs[j];
                REAL c = s[size + j] + s[j] * o * bow[j];
                d[j] = c * g * slope[j];
                d[size + j] = c * old[j] * slope[size + j];
                d[2 * size + j] = c * i * slope[2 * size + j];
                d[3 * size + j] = s[j] * b * slope[3 * size + j];
                s[size + j] = c * f;
            }
        }
        multiply_REAL(batch, size, wide, out + t * batch * wide, weight, 0, last, wide);
        for (int64_t n = 0; n < batch; n++) {
            REAL* s = last + n * wide;
            if (valid && !valid[t * batch + n]) memcpy(s, s + 2 * size, size * sizeof(REAL));
            for (int64_t j = 0; j < size; j++) s[j] += z[t * all + n * size + j];
        }
    }
    for (int64_t n = 0; n < batch; n++) memset(last + n * wide + 2 * size, 0, 2 * size * sizeof(REAL));
}
