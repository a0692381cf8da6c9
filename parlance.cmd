@echo off
rem The command line of Parlance; works from a fresh clone. It runs in the project's folder, like `npm start`, so that both
rem find the same .env, configuration and data.
setlocal
cd /d "%~dp0"
where node >nul 2>nul
if errorlevel 1 (
  echo Parlance needs Node.js 20 or newer, and npm: https://nodejs.org 1>&2
  exit /b 1
)
set "node_binary="
for /f "delims=" %%n in ('node scripts\node-path.mjs') do set "node_binary=%%n"
if not defined node_binary exit /b 1
if not defined NODE_COMPILE_CACHE set "NODE_COMPILE_CACHE=%CD%\.parlance\cache"
"%node_binary%" src\cli.ts %*
exit /b %errorlevel%
