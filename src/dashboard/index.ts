/**
 * The dashboard: a server for a page that shows runs while they train.
 *
 * @module taper-lm/dashboard
 */
export { type Dashboard, type DashboardOptions, startDashboard } from './server.ts';
