/* Prices and five Greeks of many call options: what a C compiler makes of the loop, with its vector mathematics. */
#include <math.h>

double many(long n, const double *restrict s, const double *restrict k, const double *restrict r, const double *restrict v,
            const double *restrict t, double *restrict gs, double *restrict gk, double *restrict gr, double *restrict gv,
            double *restrict gt)
{
    double total = 0.0;
    for (long i = 0; i < n; i++) {
        double root = sqrt(t[i]), deviation = v[i] * root;
        double d1 = (log(s[i] / k[i]) + (r[i] + 0.5 * v[i] * v[i]) * t[i]) / deviation, d2 = d1 - deviation;
        double n1 = 0.5 * (1.0 + erf(0.7071067811865476 * d1)), n2 = 0.5 * (1.0 + erf(0.7071067811865476 * d2));
        double discounted = k[i] * exp(-r[i] * t[i]);
        double density = s[i] * 0.3989422804014327 * exp(-0.5 * d1 * d1);
        total += s[i] * n1 - discounted * n2;
        gs[i] = n1;
        gk[i] = -discounted / k[i] * n2;
        gr[i] = t[i] * discounted * n2;
        gv[i] = density * root;
        gt[i] = density * v[i] / (2.0 * root) + r[i] * discounted * n2;
    }
    return total;
}
