/**
 * The dashboard: a server and its page, which shows runs live while they train.
 *
 * @module taper-lm/dashboard
 */
export { type Dashboard, type DashboardOptions, startDashboard } from './server.ts';
