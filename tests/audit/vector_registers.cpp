// SPDX-License-Identifier: BSD-3-Clause

double uses_vector_registers(double a, double b) { return a * b; }
