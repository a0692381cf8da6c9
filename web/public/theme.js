// Before anything is drawn, so that the page does not flash. A file of its own: the page allows no script within it.
try {
  const theme = localStorage.getItem('parlance.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // Storage is closed: as the system has it.
}
